#ifndef SINKWATCH_WORKER_EXECUTOR_USED_TOKENS_H_
#define SINKWATCH_WORKER_EXECUTOR_USED_TOKENS_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {

// The ids that a corpus uses, so that of an embedding of 100,000 rows just
// those rows need be read and kept. Immutable.
class UsedTokens {
 public:
  // Every id is below `vocabulary`. `more`: ids (int64, on the CPU) beside the
  // corpus's; undefined: none.
  UsedTokens(const probe::Corpus& corpus, int64_t vocabulary,
             const at::Tensor& more = {});

  // The ids, ascending, as runs of rows of the embedding.
  const std::vector<checkpoint::RowRange>& rows() const { return rows_; }

  // Ids (int64, on the CPU, any shape) as indices into the rows that were kept.
  at::Tensor Renumber(const at::Tensor& tokens) const;

 private:
  std::vector<checkpoint::RowRange> rows_;
  at::Tensor index_V_;  // int64; where id v is kept, if it is used
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_USED_TOKENS_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_BATCHES_H_
#define SINKWATCH_WORKER_EXECUTOR_BATCHES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/executor/used_tokens.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {

// A few sequences of one domain and the stream that they have become. B
// sequences, T tokens, D width; on the compute device but for the classes.
struct Batch {
  int64_t sequences() const { return tokens_BT.size(0); }

  int domain = 0;
  at::Tensor tokens_BT;
  at::Tensor cpu_tokens_BT;      // the same on the CPU
  at::Tensor embedding_rows_BT;  // the tokens, renumbered to the rows in memory
  at::Tensor row_classes_BT;     // undefined without classes
  at::Tensor x_BTD;              // undefined before the embedding
};

// The sequences of all domains in order, so many whole ones at a time that they
// have at most `tokens_per_batch` tokens, and at least one.
std::vector<Batch> CutIntoBatches(const probe::Corpus& corpus,
                                  const UsedTokens& used,
                                  int64_t tokens_per_batch, at::Device device);

// Cuts batch `i`, and each after it that is as large, in two where it stands:
// the sequences keep their order. False, and nothing is changed, if the batch
// is of one sequence.
bool HalveFrom(size_t i, std::vector<Batch>& batches);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_BATCHES_H_

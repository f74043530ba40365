#include "worker/executor/used_tokens.h"

#include "ATen/ops/zeros.h"

namespace sinkwatch::executor {
namespace {

void Mark(const at::Tensor& tokens, int64_t* index) {
  const at::Tensor whole = tokens.contiguous();
  const int64_t* const ids = whole.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < whole.numel(); ++i) index[ids[i]] = 1;
}

}  // namespace

UsedTokens::UsedTokens(const probe::Corpus& corpus, int64_t vocabulary,
                       const at::Tensor& more)
    : index_V_(at::zeros({vocabulary}, at::kLong)) {
  int64_t* const index = index_V_.data_ptr<int64_t>();
  for (const probe::Domain& domain : corpus.domains()) {
    Mark(domain.tokens_NT, index);
  }
  if (more.defined()) Mark(more, index);
  int64_t kept = 0;
  for (int64_t id = 0; id < vocabulary; ++id) {
    if (index[id] == 0) continue;
    index[id] = kept++;
    const bool follows =
        !rows_.empty() && rows_.back().first + rows_.back().count == id;
    if (follows) {
      ++rows_.back().count;
    } else {
      rows_.push_back({id, 1});
    }
  }
}

at::Tensor UsedTokens::Renumber(const at::Tensor& tokens) const {
  return index_V_.index_select(0, tokens.reshape({-1})).view(tokens.sizes());
}

}  // namespace sinkwatch::executor

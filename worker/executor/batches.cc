#include "worker/executor/batches.h"

#include <algorithm>
#include <utility>

namespace sinkwatch::executor {
namespace {

// Sequences [begin, end) of a batch.
Batch PartOf(const Batch& batch, int64_t begin, int64_t end) {
  const auto part = [&](const at::Tensor& x) {
    return x.defined() ? x.slice(0, begin, end) : x;
  };
  return {batch.domain,
          part(batch.tokens_BT),
          part(batch.cpu_tokens_BT),
          part(batch.embedding_rows_BT),
          part(batch.row_classes_BT),
          part(batch.x_BTD)};
}

}  // namespace

std::vector<Batch> CutIntoBatches(const probe::Corpus& corpus,
                                  const UsedTokens& used,
                                  int64_t tokens_per_batch, at::Device device) {
  const int64_t step =
      std::max<int64_t>(1, tokens_per_batch / corpus.sequence_length());
  std::vector<Batch> batches;
  for (size_t domain = 0; domain < corpus.domains().size(); ++domain) {
    const probe::Domain& text = corpus.domains()[domain];
    for (int64_t begin = 0; begin < text.tokens_NT.size(0); begin += step) {
      const int64_t end = std::min(begin + step, text.tokens_NT.size(0));
      Batch batch;
      batch.domain = static_cast<int>(domain);
      const at::Tensor tokens_BT = text.tokens_NT.slice(0, begin, end);
      batch.tokens_BT = tokens_BT.to(device);
      batch.cpu_tokens_BT = tokens_BT;
      batch.embedding_rows_BT = used.Renumber(tokens_BT).to(device);
      if (text.row_classes_NT.defined()) {
        batch.row_classes_BT = text.row_classes_NT.slice(0, begin, end);
      }
      batches.push_back(std::move(batch));
    }
  }
  return batches;
}

bool HalveFrom(size_t i, std::vector<Batch>& batches) {
  const int64_t too_many = batches[i].sequences();
  if (too_many < 2) return false;
  std::vector<Batch> cut(batches.begin(), batches.begin() + i);
  for (; i < batches.size(); ++i) {
    const int64_t n = batches[i].sequences();
    if (n < too_many) {
      cut.push_back(std::move(batches[i]));
      continue;
    }
    cut.push_back(PartOf(batches[i], 0, (n + 1) / 2));
    cut.push_back(PartOf(batches[i], (n + 1) / 2, n));
  }
  batches = std::move(cut);
  return true;
}

}  // namespace sinkwatch::executor

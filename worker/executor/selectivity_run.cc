#include "worker/executor/selectivity_run.h"

#include <algorithm>
#include <utility>

#include "worker/executor/layer_recorder.h"
#include "worker/metrics/side_metrics.h"

namespace sinkwatch::executor {

namespace {

metrics::SyntheticSequences SequencesFor(const model::ModelShape& shape) {
  int64_t tokens = metrics::kSyntheticTokens;
  if (shape.max_positions > 0) tokens = std::min(tokens, shape.max_positions);
  if (tokens < metrics::kFewestSyntheticTokens || shape.vocabulary < 2) {
    return {};
  }
  return metrics::MakeSyntheticSequences(metrics::kSyntheticSequences, tokens,
                                         shape.vocabulary);
}

}  // namespace

SelectivityRun::SelectivityRun(const model::Architecture& architecture,
                               std::vector<std::string> metrics,
                               int64_t tokens_per_batch)
    : architecture_(architecture),
      metrics_(std::move(metrics)),
      tokens_per_batch_(tokens_per_batch),
      sequences_(SequencesFor(architecture.shape())) {}

void SelectivityRun::Start(const Embed& embed) {
  if (!sequences_.tokens_NT.defined()) return;
  const int64_t step =
      std::max<int64_t>(1, tokens_per_batch_ / sequences_.tokens_NT.size(1));
  for (const at::Tensor& tokens_BT : sequences_.tokens_NT.split(step)) {
    x_BTD_.push_back(embed(tokens_BT));
  }
}

void SelectivityRun::RunLayer(int layer, const model::TensorMap& weights) {
  metrics::Selectivity selectivity(sequences_);
  for (at::Tensor& x_BTD : x_BTD_) {
    metrics::LayerBatch batch;
    DescribeLayer(architecture_, layer, weights, batch);
    LayerRecorder recorder(batch, /*needs=*/0);
    x_BTD = architecture_.Block(layer, weights, x_BTD, recorder);
    if (batch.q_BHTE.defined()) selectivity.Fold(batch);
  }
  for (metrics::MetricVector& vector : selectivity.Finish(layer)) {
    if (metrics::AsksFor(metrics_, vector.metric)) {
      values_.push_back(std::move(vector));
    }
  }
}

absl::StatusOr<std::vector<metrics::MetricVector>> SelectivityRun::Finish() {
  return CheckedFinite(std::move(values_));
}

}  // namespace sinkwatch::executor

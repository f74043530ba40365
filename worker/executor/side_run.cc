#include "worker/executor/side_run.h"

#include <algorithm>
#include <cmath>

#include "ATen/ops/cat.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "absl/strings/str_cat.h"
#include "worker/executor/even_picks.h"
#include "worker/executor/layer_skip_run.h"
#include "worker/executor/lens_run.h"
#include "worker/executor/quantized_run.h"
#include "worker/executor/selectivity_run.h"
#include "worker/metrics/side_metrics.h"

namespace sinkwatch::executor {

std::vector<PickedDomain> PickSequences(const probe::Corpus& corpus) {
  std::vector<PickedDomain> picked;
  for (const probe::Domain& domain : corpus.domains()) {
    const int64_t all = domain.tokens_NT.size(0);
    const int64_t wanted = std::min(kMaxPicked, all);
    picked.push_back(
        {domain.label, domain.tokens_NT.index_select(
                           0, at::tensor(EvenPicks(wanted, all), at::kLong))});
  }
  return picked;
}

absl::StatusOr<std::vector<metrics::MetricVector>> CheckedFinite(
    std::vector<metrics::MetricVector> values) {
  for (const metrics::MetricVector& vector : values) {
    for (float value : vector.values) {
      if (std::isfinite(value)) continue;
      return absl::DataLossError(absl::StrCat(
          "metric ", vector.metric, " of domain ", vector.domain,
          vector.layer ? absl::StrCat(" in layer ", *vector.layer) : "",
          " is not finite"));
    }
  }
  return values;
}

at::Tensor TokensOfSideRuns(const model::Architecture& architecture,
                            const std::vector<std::string>& metrics) {
  if (!metrics::Asks(metrics, metrics::kSelectivity)) return {};
  return SelectivityRun::SequencesFor(architecture.shape()).tokens_NT;
}

std::vector<std::unique_ptr<SideRun>> MakeSideRuns(
    const model::Architecture& architecture, const probe::Corpus& corpus,
    const std::vector<std::string>& metrics, at::Device device,
    int64_t tokens_per_batch) {
  std::vector<std::unique_ptr<SideRun>> runs;
  if (metrics::Asks(metrics, metrics::kSelectivity)) {
    runs.push_back(std::make_unique<SelectivityRun>(architecture, metrics,
                                                    tokens_per_batch));
  }
  if (metrics::Asks(metrics, metrics::kLayerSkip)) {
    runs.push_back(std::make_unique<LayerSkipRun>(
        architecture, PickSequences(corpus), metrics, device));
  }
  if (metrics::Asks(metrics, metrics::kQuantDelta)) {
    runs.push_back(std::make_unique<QuantizedRun>(
        architecture, PickSequences(corpus), metrics, device));
  }
  if (metrics::Asks(metrics, metrics::kLens)) {
    runs.push_back(std::make_unique<LensRun>(
        architecture, PickSequences(corpus), metrics, device));
  }
  return runs;
}

}  // namespace sinkwatch::executor

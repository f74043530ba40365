#include "worker/executor/picked_stream.h"

#include <algorithm>
#include <utility>

#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "worker/executor/even_picks.h"
#include "worker/executor/layer_recorder.h"
#include "worker/metrics/layer_batch.h"

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

PickedStream::PickedStream(const model::Architecture& architecture,
                           const std::vector<PickedDomain>& domains,
                           at::Device device)
    : architecture_(architecture), domains_(domains) {
  for (const PickedDomain& domain : domains_) {
    losses_.emplace_back(domain.tokens_PT.to(device));
  }
}

void PickedStream::Measure(const std::vector<std::string>& metrics) {
  metrics::MeasurementOptions options;
  options.metrics = metrics;
  for (const PickedDomain& domain : domains_) {
    options.domains.push_back({domain.label, {}});
  }
  builder_ = *metrics::MeasurementBuilder::Create(options);
  values_.resize(architecture_.shape().layers);
}

absl::Status PickedStream::RunLayer(int layer, const model::TensorMap& weights,
                                    model::Intervention* intervention) {
  for (size_t d = 0; d < domains_.size(); ++d) {
    metrics::LayerBatch batch;
    batch.domain = static_cast<int>(d);
    batch.layer = layer;
    if (builder_ != nullptr) {
      DescribeLayer(architecture_, layer, weights, batch);
    }
    LayerRecorder recorder(batch, builder_ == nullptr ? 0 : builder_->needs(),
                           intervention);
    x_PTD_[d] = architecture_.Block(layer, weights, x_PTD_[d], recorder);
    if (builder_ != nullptr) builder_->FoldLayer(batch);
  }
  if (builder_ == nullptr) return absl::OkStatus();
  auto values = builder_->FinishLayer(layer);
  if (!values.ok()) return values.status();
  values_[layer] = *std::move(values);
  return absl::OkStatus();
}

const std::vector<metrics::MetricVector>& PickedStream::ValuesOf(
    int layer) const {
  static const auto& none = *new std::vector<metrics::MetricVector>();
  return builder_ == nullptr ? none : values_[layer];
}

void PickedStream::AddHeadSlice(const model::TensorMap& head, int64_t first) {
  for (size_t d = 0; d < domains_.size(); ++d) {
    losses_[d].AddSlice(architecture_, head, first, x_PTD_[d]);
  }
}

}  // namespace sinkwatch::executor

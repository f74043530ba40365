#include "worker/executor/layer_skip_run.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/zeros_like.h"
#include "absl/strings/str_cat.h"
#include "worker/metrics/row_means.h"
#include "worker/metrics/side_metrics.h"
#include "worker/model/intervention.h"

namespace sinkwatch::executor {
namespace {

using metrics::MetricVector;
using model::Point;

// Nothing is added at one point of one layer.
class Skip final : public model::Intervention {
 public:
  Skip(int layer, Point point) : layer_(layer), point_(point) {}

  at::Tensor Added(int layer, Point point,
                   const at::Tensor& added_BTD) override {
    if (layer != layer_ || point != point_) return added_BTD;
    applied = true;
    return at::zeros_like(added_BTD);
  }

  bool applied = false;

 private:
  const int layer_;
  const Point point_;
};

const std::vector<std::string>& Watched() {
  static const auto& names = *new std::vector<std::string>{
      "sink_attention", "value_norm_ratio", "residual_norm_sink"};
  return names;
}

}  // namespace

LayerSkipRun::LayerSkipRun(const model::Architecture& architecture,
                           const std::vector<PickedDomain>& domains,
                           std::vector<std::string> metrics, at::Device device,
                           PickedStream& plain)
    : layers_(architecture.shape().layers),
      domains_(domains),
      metrics_(std::move(metrics)),
      plain_(plain) {
  plain.Measure(Watched());
  for (int layer = 0; layer < std::min(kSkipped, layers_); ++layer) {
    for (Point point : {Point::kAttnOut, Point::kMlpOut}) {
      streams_.push_back({layer, point, /*applied=*/false,
                          PickedStream(architecture, domains_, device)});
      streams_.back().stream.Measure(Watched());
    }
  }
}

void LayerSkipRun::RunLayer(int layer, const model::TensorMap& weights) {
  for (Stream& changed : streams_) {
    if (changed.layer == layer) changed.stream.Begin(plain_.x_PTD());
    if (!changed.stream.has_begun()) continue;
    Skip skip(changed.layer, changed.skipped);
    status_.Update(changed.stream.RunLayer(layer, weights, &skip));
    changed.applied = changed.applied || skip.applied;
  }
}

void LayerSkipRun::AddHeadSlice(const model::TensorMap& head, int64_t first) {
  for (Stream& changed : streams_) changed.stream.AddHeadSlice(head, first);
}

LayerSkipRun::Downstream LayerSkipRun::MeanOf(const PickedStream& stream,
                                              const std::string& metric,
                                              const std::string& domain,
                                              int from) const {
  Downstream downstream;
  for (int layer = from; layer < layers_; ++layer) {
    for (const MetricVector& vector : stream.ValuesOf(layer)) {
      if (vector.metric != metric || vector.domain != domain) continue;
      for (float value : vector.values) downstream.sum += value;
      downstream.count += static_cast<int64_t>(vector.values.size());
    }
  }
  return downstream;
}

void LayerSkipRun::AppendDownstream(const Stream& stream,
                                    const std::string& metric,
                                    std::vector<MetricVector>& values) const {
  // The stream is changed from the layer on, what reads it after it.
  const int from = stream.layer + (metric == "residual_norm_sink" ? 0 : 1);
  for (const PickedDomain& domain : domains_) {
    const Downstream changed =
        MeanOf(stream.stream, metric, domain.label, from);
    const Downstream plain = MeanOf(plain_, metric, domain.label, from);
    if (changed.count == 0 || changed.count != plain.count) continue;
    MetricVector vector;
    vector.domain = domain.label;
    vector.values = {static_cast<float>((changed.sum - plain.sum) /
                                        static_cast<double>(plain.count))};
    vector.standard_error = {std::numeric_limits<float>::quiet_NaN()};
    vector.count = domain.tokens_PT.size(0);
    vector.metric = metric;
    vector.layer = stream.layer;
    values.push_back(std::move(vector));
  }
}

void LayerSkipRun::AppendLoss(const Stream& stream,
                              std::vector<MetricVector>& values) const {
  for (size_t d = 0; d < domains_.size(); ++d) {
    metrics::RowMeans difference;
    difference.Fold(stream.stream.loss(d).Finish() - plain_.loss(d).Finish(),
                    {});
    const auto mean = difference.Finish(0);
    if (!mean) continue;
    MetricVector vector;
    vector.domain = domains_[d].label;
    vector.metric = "delta_loss";
    vector.layer = stream.layer;
    vector.values = {static_cast<float>(mean->value)};
    vector.standard_error = {static_cast<float>(mean->standard_error)};
    vector.count = difference.count(0);
    values.push_back(std::move(vector));
  }
}

absl::StatusOr<std::vector<MetricVector>> LayerSkipRun::Finish() {
  if (!status_.ok()) return status_;
  std::vector<MetricVector> all;
  for (const Stream& changed : streams_) {
    if (!changed.applied) continue;
    std::vector<MetricVector> values;
    AppendLoss(changed, values);
    for (const std::string& metric : Watched()) {
      AppendDownstream(changed, metric, values);
    }
    const bool attention = changed.skipped == Point::kAttnOut;
    for (MetricVector& vector : values) {
      vector.metric = absl::StrCat(metrics::kLayerSkip,
                                   attention ? "attn_" : "mlp_", vector.metric);
      if (metrics::AsksFor(metrics_, vector.metric)) {
        all.push_back(std::move(vector));
      }
    }
  }
  return CheckedFinite(std::move(all));
}

}  // namespace sinkwatch::executor

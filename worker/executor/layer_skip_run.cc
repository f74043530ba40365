#include "worker/executor/layer_skip_run.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/zeros_like.h"
#include "absl/strings/str_cat.h"
#include "worker/executor/layer_recorder.h"
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
                           std::vector<PickedDomain> domains,
                           std::vector<std::string> metrics, at::Device device)
    : architecture_(architecture),
      domains_(std::move(domains)),
      metrics_(std::move(metrics)),
      device_(device) {
  streams_.push_back(NewStream(0, Point::kResidPost));
  const int skipped = std::min(kSkipped, architecture.shape().layers);
  for (int layer = 0; layer < skipped; ++layer) {
    for (Point point : {Point::kAttnOut, Point::kMlpOut}) {
      streams_.push_back(NewStream(layer, point));
    }
  }
}

LayerSkipRun::Stream LayerSkipRun::NewStream(int layer, Point skipped) const {
  metrics::MeasurementOptions options;
  options.metrics = Watched();
  for (const PickedDomain& domain : domains_) {
    options.domains.push_back({domain.label, {}});
  }
  Stream stream;
  stream.layer = layer;
  stream.skipped = skipped;
  stream.builder = *metrics::MeasurementBuilder::Create(options);
  for (const PickedDomain& domain : domains_) {
    stream.losses.emplace_back(domain.tokens_PT.to(device_));
  }
  return stream;
}

void LayerSkipRun::Start(const Embed& embed) {
  for (const PickedDomain& domain : domains_) {
    streams_[0].x_BTD.push_back(embed(domain.tokens_PT));
  }
}

void LayerSkipRun::Advance(int layer, const model::TensorMap& weights,
                           Stream& stream) {
  Skip skip(stream.layer, stream.skipped);
  for (size_t d = 0; d < domains_.size(); ++d) {
    metrics::LayerBatch batch;
    batch.domain = static_cast<int>(d);
    batch.layer = layer;
    DescribeLayer(architecture_, layer, weights, batch);
    LayerRecorder recorder(batch, stream.builder->needs(), &skip);
    stream.x_BTD[d] =
        architecture_.Block(layer, weights, stream.x_BTD[d], recorder);
    stream.builder->FoldLayer(batch);
  }
  stream.applied = stream.applied || skip.applied;
  auto values = stream.builder->FinishLayer(layer);
  if (!values.ok()) {
    status_.Update(values.status());
    return;
  }
  stream.values.push_back(*std::move(values));
}

void LayerSkipRun::RunLayer(int layer, const model::TensorMap& weights) {
  for (Stream& stream : streams_) {
    if (stream.layer == layer && stream.x_BTD.empty()) {
      stream.x_BTD = streams_[0].x_BTD;
    }
  }
  for (Stream& stream : streams_) {
    if (stream.layer <= layer) Advance(layer, weights, stream);
  }
}

void LayerSkipRun::AddHeadSlice(const model::TensorMap& head, int64_t first) {
  for (Stream& stream : streams_) {
    for (size_t d = 0; d < domains_.size(); ++d) {
      stream.losses[d].AddSlice(architecture_, head, first, stream.x_BTD[d]);
    }
  }
}

LayerSkipRun::Downstream LayerSkipRun::MeanOf(const Stream& stream,
                                              const std::string& metric,
                                              const std::string& domain,
                                              int from) {
  Downstream downstream;
  for (size_t i = from - stream.layer; i < stream.values.size(); ++i) {
    for (const MetricVector& vector : stream.values[i]) {
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
    const Downstream changed = MeanOf(stream, metric, domain.label, from);
    const Downstream plain = MeanOf(streams_[0], metric, domain.label, from);
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
    difference.Fold(stream.losses[d].Finish() - streams_[0].losses[d].Finish(),
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
  for (size_t i = 1; i < streams_.size(); ++i) {
    if (!streams_[i].applied) continue;
    std::vector<MetricVector> values;
    AppendLoss(streams_[i], values);
    for (const std::string& metric : Watched()) {
      AppendDownstream(streams_[i], metric, values);
    }
    const bool attention = streams_[i].skipped == Point::kAttnOut;
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

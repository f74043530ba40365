// Value-state drains: how small the value and the key of position 0 are.
// Shapes: layer_statistics.h.
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor WrittenValue(LayerStatistics& s) { return s.value_write_norm_BHT(); }
at::Tensor RawValue(LayerStatistics& s) { return s.value_norm_BGT(); }
at::Tensor RawKey(LayerStatistics& s) { return s.key_norm_BGT(); }

Metric SinkOverRest(Descriptor descriptor, unsigned needs, Plane plane) {
  Metric metric;
  metric.descriptor = std::move(descriptor);
  metric.needs = needs;
  metric.reduction = Reduction::kRatio;
  metric.value = {Rows::kFirst, plane};
  metric.reference = {Rows::kRest, plane};
  return metric;
}

}  // namespace

std::vector<Metric> ValueNormMetrics() {
  const std::string guo = "Guo et al., arXiv 2410.13835";
  constexpr unsigned kNeedsWrite = kNeedsValue | kNeedsProjection;
  Metric sink;
  sink.descriptor = {"value_norm_sink",
                     "activation",
                     Scope::kHead,
                     "Mean length of what the head would write into the "
                     "residual stream if it attended to position 0 alone.",
                     "mean over sequences of ||W_h v_0||",
                     guo};
  sink.needs = kNeedsWrite;
  sink.value = {Rows::kFirst, WrittenValue};

  Metric rest;
  rest.descriptor = {
      "value_norm_rest",
      "activation",
      Scope::kHead,
      "Mean length of what the head would write into the residual stream if it "
      "attended to one position t >= 1 alone.",
      "mean over t >= 1 of ||W_h v_t||",
      guo};
  rest.needs = kNeedsWrite;
  rest.value = {Rows::kRest, WrittenValue};

  return {
      sink, rest,
      SinkOverRest({"value_norm_ratio", "ratio", Scope::kHead,
                    "Value-state drain: the written value of position 0 "
                    "relative to that of other positions; far below 1 is a "
                    "drain.",
                    "value_norm_sink / value_norm_rest", guo, 0.5,
                    /*below=*/true},
                   kNeedsWrite, WrittenValue),
      SinkOverRest({"value_norm_ratio_raw", "ratio", Scope::kKvHead,
                    "Value-state drain before the output projection: length of "
                    "the value vector of position 0 relative to others.",
                    "mean ||v_0|| / mean over t >= 1 of ||v_t||", guo, 0.5,
                    /*below=*/true},
                   kNeedsValue, RawValue),
      SinkOverRest({"key_norm_ratio", "ratio", Scope::kKvHead,
                    "Length of the key vector of position 0 relative to "
                    "others.",
                    "mean ||k_0|| / mean over t >= 1 of ||k_t||",
                    "Gu et al., arXiv 2410.10781"},
                   kNeedsKey, RawKey)};
}

}  // namespace sinkwatch::metrics

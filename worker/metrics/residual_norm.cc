// Residual-state peaks: how long the stream's vectors are. Shapes:
// layer_statistics.h.
#include "worker/kernels/row_median.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor Norm(LayerStatistics& s) {
  return s.residual_norm_BT().unsqueeze(1);
}

at::Tensor RestOf(LayerStatistics& s) {
  const at::Tensor norm_BT = s.residual_norm_BT();
  return norm_BT.narrow(-1, 1, norm_BT.size(-1) - 1);
}

at::Tensor SinkOfSequence(LayerStatistics& s) {
  return s.residual_norm_BT().narrow(-1, 0, 1);
}

at::Tensor MedianOfRest(LayerStatistics& s) {
  return kernels::RowMedian(RestOf(s)).unsqueeze(1);
}

Quantity LargestOfRest(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = Norm(s);
  quantity.first_row = 1;
  return quantity;
}

bool HasRest(const LayerBatch& batch) {
  return batch.resid_post_BTD.size(1) > 1;
}

Metric Residual(const std::string& name, const std::string& unit,
                const std::string& meaning, const std::string& formula,
                const std::string& source, Term value) {
  Metric metric;
  metric.descriptor = {name, unit, Scope::kLayer, meaning, formula, source};
  metric.needs = kNeedsResidualPost;
  metric.value = value;
  metric.applies = HasRest;
  return metric;
}

}  // namespace

std::vector<Metric> ResidualNormMetrics() {
  const std::string guo = "Guo et al., arXiv 2410.13835";
  Metric ratio = Residual(
      "residual_norm_ratio", "ratio",
      "Residual-state peak: the stream's length at position 0 relative to the "
      "median of the other positions.",
      "residual_norm_sink / residual_norm_rest_median", guo,
      {Rows::kWholeSequence, SinkOfSequence});
  ratio.descriptor.threshold = 3;
  ratio.reduction = Reduction::kRatio;
  ratio.reference = {Rows::kWholeSequence, MedianOfRest};
  return {
      Residual("residual_norm_sink", "activation",
               "Length of the residual stream at position 0 after the block "
               "(layer -1: after the embedding), before any norm.",
               "mean over sequences of ||x_0||", guo,
               {Rows::kWholeSequence, SinkOfSequence}),
      Residual("residual_norm_rest_mean", "activation",
               "Mean length of the residual stream at the other positions.",
               "mean over t >= 1 of ||x_t||", guo, {Rows::kRest, Norm}),
      Residual("residual_norm_rest_median", "activation",
               "Length of the residual stream at a typical other position, "
               "which a second sink does not move.",
               "mean over sequences of the median over t >= 1 of ||x_t||", guo,
               {Rows::kWholeSequence, MedianOfRest}),
      Residual("residual_norm_rest_max", "activation",
               "Length of the residual stream at the largest other position; "
               "shows sinks beside position 0.",
               "mean over sequences of the max over t >= 1 of ||x_t||", guo,
               {Rows::kWholeSequence, LargestOfRest}),
      ratio};
}

}  // namespace sinkwatch::metrics

// Massive activations: single numbers far above the rest of the stream. Shapes:
// layer_statistics.h; N = T * D.
#include "worker/kernels/row_moments.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

Quantity Largest(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.residual_moments().sums[kernels::kRowLargest].unsqueeze(1);
  return quantity;
}

at::Tensor Median(LayerStatistics& s) {
  return s.residual_median_B().unsqueeze(1);
}

at::Tensor Kurtosis(LayerStatistics& s) {
  return kernels::SequenceKurtosis(s.batch().resid_post_BTD,
                                   s.residual_moments());
}

Metric PerSequence(Descriptor descriptor, Plane plane) {
  Metric metric;
  metric.descriptor = std::move(descriptor);
  metric.needs = kNeedsResidualPost;
  metric.value = {Rows::kWholeSequence, plane};
  return metric;
}

}  // namespace

std::vector<Metric> MassiveActivationMetrics() {
  const std::string sun = "Sun et al., arXiv 2402.17762";
  Metric ratio = PerSequence(
      {"massive_ratio", "ratio", Scope::kLayer,
       "How far the largest activation of the stream stands above the median.",
       "massive_max / massive_median",
       "arXiv 2508.03616 (the ratio over pretraining)", 1000.0},
      Largest);
  ratio.reduction = Reduction::kRatio;
  ratio.reference = {Rows::kWholeSequence, Median};
  return {
      PerSequence(
          {"massive_max", "activation", Scope::kLayer,
           "Largest absolute activation of the residual stream.",
           "mean over sequences of the max over tokens x dims of |x|", sun},
          Largest),
      PerSequence({"massive_median", "activation", Scope::kLayer,
                   "Median absolute activation of the residual stream.",
                   "mean over sequences of the median over tokens x dims of "
                   "|x| (linear interpolation)",
                   sun},
                  Median),
      ratio,
      PerSequence({"residual_kurtosis", "ratio", Scope::kLayer,
                   "Heaviness of the tails of the residual stream: 3 for a "
                   "normal distribution, large with outliers.",
                   "mean over sequences of m4 / (m2^2 + 1e-6), m_p = mean over "
                   "tokens x dims of (x - mean)^p",
                   "Bondarenko et al., arXiv 2306.12929"},
                  Kurtosis)};
}

}  // namespace sinkwatch::metrics

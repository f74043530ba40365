// Massive activations: single numbers far above the rest of the stream. Shapes:
// layer_statistics.h; N = T * D.
#include "worker/kernels/row_median.h"
#include "worker/kernels/row_moments.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor Largest(LayerStatistics& s) {
  return s.residual_sums()[kernels::kRowLargest].amax(-1, /*keepdim=*/true);
}

at::Tensor Median(LayerStatistics& s) {
  return kernels::RowMedian(s.batch().resid_post_BTD.flatten(1),
                            /*absolute=*/true)
      .unsqueeze(1);
}

// Mean over tokens x dims, of sums over dims: [B] in double.
at::Tensor MeanOf(const at::Tensor& sum_BT, int64_t width) {
  return sum_BT.mean(-1, /*keepdim=*/false, at::kDouble).div(width);
}

at::Tensor Kurtosis(LayerStatistics& s) {
  const at::Tensor& x_BTD = s.batch().resid_post_BTD;
  const int64_t width = x_BTD.size(2);
  const at::Tensor mean_B =
      MeanOf(s.residual_sums()[kernels::kRowTotal], width);
  const at::Tensor powers = kernels::RowPowers(x_BTD, mean_B.to(at::kFloat));
  return MeanOf(powers[1], width)
      .div(MeanOf(powers[0], width).square().add(1e-6))
      .unsqueeze(-1);
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

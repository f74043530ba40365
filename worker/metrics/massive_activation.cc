// Massive activations: single numbers far above the rest of the stream. Shapes:
// layer_statistics.h; N = T * D.
#include "worker/kernels/row_median.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor Largest(LayerStatistics& s) {
  return s.residual_BTD().abs().flatten(1).amax(-1, /*keepdim=*/true);
}

at::Tensor Median(LayerStatistics& s) {
  return kernels::RowMedian(s.batch().resid_post_BTD.flatten(1),
                            /*absolute=*/true)
      .unsqueeze(1);
}

// Mean over tokens x dims: over dims in float32, then over tokens in double.
at::Tensor MeanOfTokensAndDims(const at::Tensor& x_BTD) {
  return x_BTD.mean(-1).mean(-1, /*keepdim=*/true, at::kDouble);
}

// Two passes: powers of the distance from the mean, so that a large mean
// cancels nothing.
at::Tensor Kurtosis(LayerStatistics& s) {
  const at::Tensor& x_BTD = s.residual_BTD();
  at::Tensor mean_B11 = MeanOfTokensAndDims(x_BTD).unsqueeze(-1);
  at::Tensor square_BTD = x_BTD.sub(mean_B11.to(at::kFloat)).square_();
  at::Tensor variance_B1 = MeanOfTokensAndDims(square_BTD);
  at::Tensor fourth_B1 = MeanOfTokensAndDims(square_BTD.square_());
  return fourth_B1.div(variance_B1.square().add(1e-6));
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

#include "worker/metrics/accumulator.h"

#include <algorithm>
#include <cmath>

namespace sinkwatch::metrics {

Accumulator::Accumulator(Reduction reduction, int64_t values)
    : reduction_(reduction), moments_(values) {}

void Accumulator::Add(int64_t value, const SequenceSums& sums) {
  if (sums.rows == 0 && sums.reference_rows == 0) return;
  Moments& moments = moments_[value];
  const bool first = moments.sequences++ == 0;
  const std::array<double, kComponents> x = {
      sums.sum, sums.rows, sums.reference_sum, sums.reference_rows};
  if (reduction_ == Reduction::kMax) {
    double& most = moments.sum[0];
    // Written so that what is not a number wins.
    if (first || !(x[0] <= most)) most = std::isnan(most) ? most : x[0];
    moments.sum[1] += x[1];
    return;
  }
  for (int i = 0; i < kComponents; ++i) {
    moments.sum[i] += x[i];
    for (int j = 0; j <= i; ++j) moments.product[i][j] += x[i] * x[j];
  }
}

int64_t Accumulator::count() const {
  return moments_.empty() ? 0 : std::llround(moments_.front().sum[1]);
}

std::optional<Estimate> Accumulator::Finish(int64_t value) const {
  const Moments& moments = moments_[value];
  const auto& [sum, rows, reference_sum, reference_rows] = moments.sum;
  if (moments.sequences == 0 || rows == 0) return std::nullopt;
  if (reduction_ == Reduction::kMax) return Estimate{sum};
  const double mean = sum / rows;
  if (reduction_ == Reduction::kMean) {
    return Estimate{mean,
                    StandardError(moments, {1 / rows, -mean / rows, 0, 0})};
  }
  if (reference_rows == 0 || reference_sum == 0) return std::nullopt;
  const double ratio = mean * reference_rows / reference_sum;
  const double scale = reference_rows / reference_sum / rows;
  return Estimate{ratio, StandardError(moments, {scale, -mean * scale,
                                                 -ratio / reference_sum,
                                                 ratio / reference_rows})};
}

double Accumulator::StandardError(
    const Moments& moments, const std::array<double, kComponents>& gradient) {
  if (moments.sequences < 2) return std::numeric_limits<double>::quiet_NaN();
  double variance = 0;
  for (int i = 0; i < kComponents; ++i) {
    for (int j = 0; j <= i; ++j) {
      const double term = gradient[i] * gradient[j] * moments.product[i][j];
      variance += i == j ? term : 2 * term;
    }
  }
  const double m = static_cast<double>(moments.sequences);
  // Rounding may leave a variance of 0 just below it.
  return variance < 0 ? 0 : std::sqrt(variance * m / (m - 1));
}

}  // namespace sinkwatch::metrics

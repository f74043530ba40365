#include "server/analytics/contrast.h"

#include <cmath>

namespace sinkwatch::analytics {

v1::Contrast DifferenceOf(const Estimate& high, const Estimate& low) {
  // The 0.975 quantile of the normal distribution.
  constexpr double kOf95Percent = 1.959963984540054;
  v1::Contrast contrast;
  const double difference = high.value - low.value;
  const double error = std::hypot(high.standard_error, low.standard_error);
  contrast.set_difference(difference);
  contrast.set_standard_error(error);
  contrast.set_low(difference - kOf95Percent * error);
  contrast.set_high(difference + kOf95Percent * error);
  if (!std::isnan(error)) {
    contrast.set_method(v1::INTERVAL_METHOD_STANDARD_ERRORS);
  }
  return contrast;
}

bool ExcludesZero(const v1::Contrast& contrast) {
  return contrast.low() > 0 || contrast.high() < 0;
}

}  // namespace sinkwatch::analytics

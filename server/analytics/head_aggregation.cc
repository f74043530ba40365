#include "server/analytics/head_aggregation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sinkwatch::analytics {

double Quantile(const std::vector<float>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const size_t low = static_cast<size_t>(std::floor(place));
  const size_t high = std::min(low + 1, sorted.size() - 1);
  const double share = place - static_cast<double>(low);
  return sorted[low] + share * (sorted[high] - sorted[low]);
}

double AggregateHeads(std::vector<float> values, v1::Aggregation aggregation) {
  values.erase(std::remove_if(values.begin(), values.end(),
                              [](float value) { return std::isnan(value); }),
               values.end());
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  switch (aggregation) {
    case v1::AGGREGATION_MEDIAN:
      return Quantile(values, 0.5);
    case v1::AGGREGATION_P90:
      return Quantile(values, 0.9);
    case v1::AGGREGATION_MAX:
      return values.back();
    case v1::AGGREGATION_MIN:
      return values.front();
    default:
      return std::accumulate(values.begin(), values.end(), 0.0) /
             static_cast<double>(values.size());
  }
}

}  // namespace sinkwatch::analytics

#include "server/analytics/head_aggregation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sinkwatch::analytics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// As Quantile, of values in any order, which it changes.
double QuantileOf(std::vector<float>& values, double q) {
  const double place = q * static_cast<double>(values.size() - 1);
  const auto low = values.begin() + static_cast<ptrdiff_t>(std::floor(place));
  std::nth_element(values.begin(), low, values.end());
  if (low + 1 == values.end()) return *low;
  const float high = *std::min_element(low + 1, values.end());
  return *low + (place - std::floor(place)) * (high - *low);
}

double Mean(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

// Of values without NaN.
double StatisticOf(std::vector<float>& values, v1::Aggregation statistic) {
  if (values.empty()) return kNan;
  switch (statistic) {
    case v1::AGGREGATION_P10:
      return QuantileOf(values, 0.1);
    case v1::AGGREGATION_MEDIAN:
      return QuantileOf(values, 0.5);
    case v1::AGGREGATION_P90:
      return QuantileOf(values, 0.9);
    case v1::AGGREGATION_MAX:
      return *std::max_element(values.begin(), values.end());
    case v1::AGGREGATION_MIN:
      return *std::min_element(values.begin(), values.end());
    default:
      return Mean(values);
  }
}

}  // namespace

double Quantile(const std::vector<float>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const size_t low = static_cast<size_t>(std::floor(place));
  const size_t high = std::min(low + 1, sorted.size() - 1);
  const double share = place - static_cast<double>(low);
  return sorted[low] + share * (sorted[high] - sorted[low]);
}

std::vector<v1::Aggregation> StatisticsOf(v1::Aggregation aggregation) {
  if (aggregation != v1::AGGREGATION_BAND) return {aggregation};
  return {v1::AGGREGATION_MIN, v1::AGGREGATION_P10, v1::AGGREGATION_MEDIAN,
          v1::AGGREGATION_P90, v1::AGGREGATION_MAX};
}

double AggregateHeads(std::vector<float> values, v1::Aggregation statistic) {
  values.erase(std::remove_if(values.begin(), values.end(),
                              [](float value) { return std::isnan(value); }),
               values.end());
  return StatisticOf(values, statistic);
}

Matrix AggregateColumns(const Matrix& matrix,
                        const std::vector<std::vector<size_t>>& groups,
                        v1::Aggregation aggregation) {
  const std::vector<v1::Aggregation> statistics = StatisticsOf(aggregation);
  Matrix answer;
  answer.columns = groups.size() * statistics.size();
  answer.values.reserve(matrix.rows() * answer.columns);
  std::vector<float> present;
  for (size_t r = 0; r < matrix.rows(); ++r) {
    const float* const row = matrix.values.data() + r * matrix.columns;
    for (const std::vector<size_t>& group : groups) {
      present.clear();
      for (size_t column : group) {
        if (!std::isnan(row[column])) present.push_back(row[column]);
      }
      for (v1::Aggregation statistic : statistics) {
        answer.values.push_back(
            static_cast<float>(StatisticOf(present, statistic)));
      }
    }
  }
  return answer;
}

}  // namespace sinkwatch::analytics

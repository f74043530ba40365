#include "server/analytics/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/analytics/curve_fit.h"
#include "server/analytics/order_statistics.h"
#include "server/analytics/paired_series.h"

namespace sinkwatch::analytics {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kFewestPoints = 3;

// The sign of the slope, and the root of the share that a line explains.
double Pearson(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.size() < kFewestPoints) return kNaN;
  const Line line = FitLine(x, y);
  if (std::isnan(line.r_squared)) return kNaN;
  return std::copysign(std::sqrt(std::max(line.r_squared, 0.0)), line.b);
}

std::vector<double> ChangesOf(const std::vector<double>& values,
                              const std::vector<double>& log_step) {
  std::vector<double> changes;
  for (size_t i = 1; i < values.size(); ++i) {
    changes.push_back((values[i] - values[i - 1]) /
                      (log_step[i] - log_step[i - 1]));
  }
  return changes;
}

}  // namespace

Correlation Correlate(const std::vector<SeriesPoint>& x,
                      const std::vector<SeriesPoint>& y, int64_t first_step) {
  const PairedSeries pairs = PairOf(x, y, first_step);
  Correlation result;
  result.points = static_cast<int>(pairs.x.size());
  result.pearson = Pearson(pairs.x, pairs.y);
  result.spearman = Pearson(RanksOf(pairs.x), RanksOf(pairs.y));
  result.pearson_of_changes = Pearson(ChangesOf(pairs.x, pairs.log_step),
                                      ChangesOf(pairs.y, pairs.log_step));
  return result;
}

}  // namespace sinkwatch::analytics

#include "server/analytics/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/analytics/curve_fit.h"
#include "server/analytics/order_statistics.h"
#include "server/analytics/rise.h"

namespace sinkwatch::analytics {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kFewestPoints = 3;

struct Pairs {
  std::vector<double> log_step, x, y;
};

Pairs Joined(const std::vector<SeriesPoint>& x,
             const std::vector<SeriesPoint>& y, int64_t first_step) {
  Pairs pairs;
  size_t at = 0;
  for (const SeriesPoint& point : x) {
    while (at < y.size() && y[at].step < point.step) ++at;
    if (at == y.size()) break;
    if (y[at].step != point.step || point.step < first_step) continue;
    pairs.log_step.push_back(LogStep(static_cast<double>(point.step)));
    pairs.x.push_back(point.value);
    pairs.y.push_back(y[at].value);
  }
  return pairs;
}

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
  const Pairs pairs = Joined(x, y, first_step);
  Correlation result;
  result.points = static_cast<int>(pairs.x.size());
  result.pearson = Pearson(pairs.x, pairs.y);
  result.spearman = Pearson(RanksOf(pairs.x), RanksOf(pairs.y));
  result.pearson_of_changes = Pearson(ChangesOf(pairs.x, pairs.log_step),
                                      ChangesOf(pairs.y, pairs.log_step));
  return result;
}

}  // namespace sinkwatch::analytics

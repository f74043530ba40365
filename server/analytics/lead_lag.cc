#include "server/analytics/lead_lag.h"

#include <algorithm>
#include <cmath>

#include "server/analytics/fixed_random.h"
#include "server/analytics/paired_series.h"

namespace sinkwatch::analytics {
namespace {

constexpr size_t kFewestPoints = 12;
constexpr size_t kMaxPlaces = 100;
constexpr int kSamples = 999;
// A change that differs less than this from the mean one, of the largest value,
// is rounding.
constexpr double kRounding = 1e-12;

using Numbers = std::vector<double>;

size_t PlacesOn(const PairedSeries& curves) {
  return std::min(curves.log_step.size(), kMaxPlaces);
}

// How far apart they are.
double WidthOn(const PairedSeries& curves) {
  return (curves.log_step.back() - curves.log_step.front()) /
         static_cast<double>(PlacesOn(curves) - 1);
}

// The changes of one of the curves from place to place.
Numbers EvenChanges(const PairedSeries& curves, const Numbers& values) {
  const Numbers& place = curves.log_step;
  const double width = WidthOn(curves);
  Numbers changes;
  double before = values.front();
  size_t at = 0;
  for (size_t i = 1; i < PlacesOn(curves); ++i) {
    const double where = place.front() + static_cast<double>(i) * width;
    while (at + 2 < place.size() && place[at + 1] < where) ++at;
    const double share =
        std::min(1.0, (where - place[at]) / (place[at + 1] - place[at]));
    const double value = values[at] + share * (values[at + 1] - values[at]);
    changes.push_back(value - before);
    before = value;
  }
  return changes;
}

// Of mean 0 and variance 1; empty where all are the same.
Numbers Standardized(Numbers values, double scale) {
  double sum = 0, squares = 0;
  for (double value : values) sum += value;
  const double n = static_cast<double>(values.size());
  for (double& value : values) {
    value -= sum / n;
    squares += value * value;
  }
  const double deviation = std::sqrt(squares / n);
  if (!(deviation > kRounding * scale)) return {};
  for (double& value : values) value /= deviation;
  return values;
}

double LargestOf(const Numbers& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

struct Peak {
  int lag = 0;
  double correlation = 0;
};

// Of equal sizes the smaller lag counts.
Peak PeakOf(const Numbers& dx, const Numbers& dy) {
  const int n = static_cast<int>(dx.size());
  Peak peak;
  for (int size = 0; size <= n / 4; ++size) {
    for (const int lag : {size, -size}) {
      double sum = 0;
      for (int i = std::max(0, -lag); i < std::min(n, n - lag); ++i) {
        sum += dx[i] * dy[i + lag];
      }
      if (std::abs(sum) > n * std::abs(peak.correlation)) {
        peak = {lag, sum / n};
      }
    }
  }
  return peak;
}

// As many changes as `from` has, of blocks of it.
Numbers BlocksOf(const Numbers& from, FixedRandom& random) {
  const int n = static_cast<int>(from.size());
  const int length = std::max(1, static_cast<int>(std::lround(std::cbrt(n))));
  Numbers drawn;
  while (static_cast<int>(drawn.size()) < n) {
    const int begin = random.Below(n - length + 1);
    for (int i = 0; i < length && static_cast<int>(drawn.size()) < n; ++i) {
      drawn.push_back(from[begin + i]);
    }
  }
  return drawn;
}

double ShareAsFar(const Numbers& dx, const Numbers& dy, double correlation) {
  FixedRandom random(1);
  int as_far = 1;  // that which was found
  for (int s = 0; s < kSamples; ++s) {
    const Numbers other = Standardized(BlocksOf(dy, random), 1);
    if (other.empty()) continue;
    as_far += std::abs(PeakOf(dx, other).correlation) >= std::abs(correlation);
  }
  return static_cast<double>(as_far) / (kSamples + 1);
}

}  // namespace

std::optional<LeadLag> LeadLagOf(const std::vector<SeriesPoint>& x,
                                 const std::vector<SeriesPoint>& y,
                                 int64_t first_step) {
  const PairedSeries joined = PairOf(x, y, first_step);
  if (joined.log_step.size() < kFewestPoints) return std::nullopt;
  const Numbers dx =
      Standardized(EvenChanges(joined, joined.x), LargestOf(joined.x));
  const Numbers dy =
      Standardized(EvenChanges(joined, joined.y), LargestOf(joined.y));
  if (dx.empty() || dy.empty()) return std::nullopt;
  const Peak peak = PeakOf(dx, dy);
  LeadLag found;
  found.points = static_cast<int>(joined.log_step.size());
  found.lag = peak.lag;
  found.log_steps = peak.lag * WidthOn(joined);
  found.correlation = peak.correlation;
  found.p = ShareAsFar(dx, dy, peak.correlation);
  return found;
}

}  // namespace sinkwatch::analytics

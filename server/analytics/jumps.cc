#include "server/analytics/jumps.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/analytics/order_statistics.h"

namespace sinkwatch::analytics {
namespace {

// Fewer neighbours tell no scatter.
constexpr size_t kFewestNeighbours = 4;
// Values that tell a level.
constexpr size_t kOfALevel = 3;
// Stored values are float32: what is smaller than some ulps of the largest one
// is no change.
constexpr double kResolution = 1e-6;

using Series = std::vector<SeriesPoint>;

double KnownError(double standard_error) {
  return std::isfinite(standard_error) ? standard_error : 0;
}

std::vector<double> ChangesOf(const Series& series) {
  std::vector<double> changes;
  for (size_t i = 0; i + 1 < series.size(); ++i) {
    changes.push_back(series[i + 1].value - series[i].value);
  }
  return changes;
}

// What changes are like around one of them: between `low` and `high`.
struct Usual {
  double low = 0;
  double high = 0;
  double scatter = 0;

  double ExcessOf(double change) const {
    return change - std::clamp(change, low, high);
  }
};

double StepsOf(const Series& series, size_t change) {
  return static_cast<double>(series[change + 1].step - series[change].step);
}

// Whether checkpoints are missing within a change: it spans more than twice as
// many steps as either of those beside it.
bool SpansGap(const Series& series, size_t change) {
  if (change == 0 || change + 2 >= series.size()) return false;
  const double beside =
      std::max(StepsOf(series, change - 1), StepsOf(series, change + 1));
  return StepsOf(series, change) > 2 * beside;
}

// The changes around one of them, in order. It slides along: of 10^6 changes
// each window is brought about by one that comes and one that goes.
class Neighbourhood {
 public:
  Neighbourhood(const std::vector<double>& changes, size_t neighbours)
      : changes_(changes), neighbours_(neighbours) {}

  // Slides to the next change, first to the first.
  void Next() {
    if (!started_) {
      started_ = true;
    } else {
      ++centre_;
    }
    const size_t end = std::min(changes_.size(), centre_ + neighbours_ + 1);
    for (; end_ < end; ++end_) Insert(changes_[end_]);
    if (centre_ > neighbours_) Erase(changes_[centre_ - neighbours_ - 1]);
    place_ = PlaceOf(changes_[centre_]);
  }
  // Of the others: how many, the middle one, the scatter around a value.
  size_t size() const { return sorted_.size() - 1; }
  double Median() const {
    const size_t n = size();
    return n % 2 == 1 ? Other(n / 2) : (Other(n / 2 - 1) + Other(n / 2)) / 2;
  }
  double ScatterAround(double centre) const;

 private:
  size_t PlaceOf(double value) const {
    return std::lower_bound(sorted_.begin(), sorted_.end(), value) -
           sorted_.begin();
  }
  void Insert(double value) {
    sorted_.insert(sorted_.begin() + PlaceOf(value), value);
  }
  void Erase(double value) { sorted_.erase(sorted_.begin() + PlaceOf(value)); }
  // Number k of those that are not the change itself, ascending.
  double Other(size_t k) const { return sorted_[k < place_ ? k : k + 1]; }

  const std::vector<double>& changes_;
  const size_t neighbours_;
  bool started_ = false;
  size_t centre_ = 0;
  size_t end_ = 0;
  size_t place_ = 0;  // of the change itself
  std::vector<double> sorted_;
};

// As analytics::ScatterAround, of values that are sorted: distances are met in
// their order by going outward.
double Neighbourhood::ScatterAround(double centre) const {
  const size_t n = size();
  size_t right = 0;
  while (right < n && Other(right) < centre) ++right;
  size_t left = right;
  double before = 0, distance = 0;
  for (size_t met = 0; met <= n / 2; ++met) {
    before = distance;
    const bool take_left =
        right == n ||
        (left > 0 && centre - Other(left - 1) <= Other(right) - centre);
    distance = take_left ? centre - Other(--left) : Other(right++) - centre;
  }
  return 1.4826 * (n % 2 == 1 ? distance : (before + distance) / 2);
}

// What the usual rate would have come to over a change.
double RateOver(const Series& series, const std::vector<double>& changes,
                size_t i, size_t neighbours) {
  std::vector<double> rates;
  const size_t first = i > neighbours ? i - neighbours : 0;
  const size_t end = std::min(changes.size(), i + neighbours + 1);
  for (size_t j = first; j < end; ++j) {
    if (j != i) rates.push_back(changes[j] / StepsOf(series, j));
  }
  return MedianOf(std::move(rates)) * StepsOf(series, i);
}

std::vector<Usual> AroundChanges(const Series& series,
                                 const std::vector<double>& changes,
                                 size_t neighbours) {
  std::vector<Usual> around(changes.size());
  Neighbourhood others(changes, neighbours);
  for (size_t i = 0; i < changes.size(); ++i) {
    others.Next();
    if (others.size() < kFewestNeighbours) continue;
    const double middle = others.Median();
    around[i] = {middle, middle, others.ScatterAround(middle)};
    if (!SpansGap(series, i)) continue;
    // What the checkpoints that are missing would have changed is usual too.
    const double over_gap = RateOver(series, changes, i, neighbours);
    around[i].low = std::min(middle, over_gap);
    around[i].high = std::max(middle, over_gap);
  }
  return around;
}

double ResolutionOf(const Series& series) {
  double largest = 0;
  for (const SeriesPoint& p : series) {
    largest = std::max(largest, std::abs(p.value));
  }
  return kResolution * largest;
}

// How many times its noise each change is, with its sign.
std::vector<double> ScoresOf(const Series& series,
                             const std::vector<double>& changes,
                             const JumpRule& rule) {
  const std::vector<Usual> around =
      AroundChanges(series, changes, rule.neighbours);
  std::vector<double> scatters;
  for (const Usual& usual : around) scatters.push_back(usual.scatter);
  const double typical = MedianOf(std::move(scatters));
  const double least = ResolutionOf(series);
  std::vector<double> scores;
  for (size_t i = 0; i < changes.size(); ++i) {
    const double noise =
        std::hypot(KnownError(series[i].standard_error),
                   KnownError(series[i + 1].standard_error),
                   std::max({around[i].scatter, typical, least}));
    const double excess = around[i].ExcessOf(changes[i]);
    scores.push_back(noise > 0 ? excess / noise : 0);
  }
  return scores;
}

double LevelOf(const Series& series, size_t first, size_t end) {
  std::vector<double> values;
  for (size_t i = first; i < end; ++i) values.push_back(series[i].value);
  return MedianOf(std::move(values));
}

// Whether more than half of the way from `from` to `to` is kept.
bool Stays(const Series& series, size_t from, size_t to) {
  const double way = series[to].value - series[from].value;
  const double before = LevelOf(
      series, from + 1 > kOfALevel ? from + 1 - kOfALevel : 0, from + 1);
  const double after =
      LevelOf(series, to, std::min(series.size(), to + kOfALevel));
  return (after - before) * (way > 0 ? 1 : -1) > std::abs(way) / 2;
}

// The jump whose changes are [first, end).
v1::Jump JumpOf(const Series& series, const std::vector<double>& changes,
                const std::vector<double>& scores, size_t first, size_t end) {
  size_t steepest = first;
  for (size_t i = first; i < end; ++i) {
    if (std::abs(changes[i]) > std::abs(changes[steepest])) steepest = i;
  }
  v1::Jump jump;
  jump.set_after_step(series[steepest].step);
  jump.set_by_step(series[steepest + 1].step);
  jump.set_from_step(series[first].step);
  jump.set_to_step(series[end].step);
  jump.set_before(series[first].value);
  jump.set_after(series[end].value);
  jump.set_score(std::abs(scores[steepest]));
  jump.set_provisional(end + 1 == series.size());
  return jump;
}

}  // namespace

std::vector<v1::Jump> FindJumps(const Series& series, const JumpRule& rule) {
  std::vector<v1::Jump> jumps;
  if (series.size() < 2) return jumps;
  const std::vector<double> changes = ChangesOf(series);
  const std::vector<double> scores = ScoresOf(series, changes, rule);
  for (size_t first = 0; first < scores.size();) {
    size_t end = first;
    while (end < scores.size() && std::abs(scores[end]) >= rule.min_score &&
           (scores[end] > 0) == (scores[first] > 0)) {
      ++end;
    }
    if (end == first) {
      ++first;
      continue;
    }
    const v1::Jump jump = JumpOf(series, changes, scores, first, end);
    if (jump.provisional() || Stays(series, first, end)) jumps.push_back(jump);
    first = end;
  }
  return jumps;
}

}  // namespace sinkwatch::analytics

#include "server/analytics/jumps.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "server/analytics/order_statistics.h"
#include "server/analytics/rise.h"

namespace sinkwatch::analytics {
namespace {

// Fewer neighbours tell no scatter.
constexpr size_t kFewestNeighbours = kFewestForJumps - 2;
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

// What changes are like around one of them.
struct Usual {
  bool known = false;  // there are enough of them
  double middle = 0;
  double scatter = 0;
};

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

std::vector<Usual> AroundChanges(const std::vector<double>& changes,
                                 size_t neighbours) {
  std::vector<Usual> around(changes.size());
  Neighbourhood others(changes, neighbours);
  for (size_t i = 0; i < changes.size(); ++i) {
    others.Next();
    if (others.size() < kFewestNeighbours) continue;
    const double middle = others.Median();
    around[i] = {true, middle, others.ScatterAround(middle)};
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

struct Scores {
  std::vector<double> of_changes;
  double typical = 0;  // scatter, or what stored values resolve
};

// How many times its noise each change is, with its sign; 0 where it is smaller
// than usual or goes the other way than its excess, and where nobody knows what
// is usual.
Scores ScoresOf(const Series& series, const std::vector<double>& changes,
                const JumpRule& rule) {
  const std::vector<Usual> around = AroundChanges(changes, rule.neighbours);
  std::vector<double> scatters;
  for (const Usual& usual : around) scatters.push_back(usual.scatter);
  Scores scores;
  scores.typical =
      std::max(MedianOf(std::move(scatters)), ResolutionOf(series));
  for (size_t i = 0; i < changes.size(); ++i) {
    const double noise =
        std::hypot(KnownError(series[i].standard_error),
                   KnownError(series[i + 1].standard_error),
                   std::max(around[i].scatter, scores.typical));
    const double excess = changes[i] - around[i].middle;
    const bool tells = around[i].known && excess * changes[i] > 0;
    scores.of_changes.push_back(noise > 0 && tells ? excess / noise : 0);
  }
  return scores;
}

// Points [first, last] of a series, as one change.
struct Stretch {
  size_t first, last;
};

// A stretch and those beside it, of at most kBeside changes each.
class Passage {
 public:
  // From what a change goes by at a point to how wide it is.
  using Place = double (*)(int64_t step);

  Passage(const Series& series, Stretch within, double typical)
      : series_(series), within_(within), typical_(typical) {
    const size_t begin = within.first > kBeside ? within.first - kBeside : 0;
    const size_t end = std::min(series.size() - 1, within.last + kBeside);
    if (begin < within.first) beside_.push_back({begin, within.first});
    if (end > within.last) beside_.push_back({within.last, end});
  }

  // Whether some change spans more than twice as many steps as another.
  bool IsUneven() const {
    size_t begin = within_.first, end = within_.last;
    for (const Stretch& other : beside_) {
      begin = std::min(begin, other.first);
      end = std::max(end, other.last);
    }
    int64_t least = INT64_MAX, most = 0;
    for (size_t i = begin; i < end; ++i) {
      const int64_t steps = series_[i + 1].step - series_[i].step;
      least = std::min(least, steps);
      most = std::max(most, steps);
    }
    return most > 2 * least;
  }

  // How many times its noise the whole is beyond what the rates beside it would
  // have come to; 0 if it is not.
  double ScoreBy(Place place) const {
    const double way = ChangeOf(within_);
    double least = 0, most = 0, noise = NoiseOf(within_);
    for (const Stretch& other : beside_) {
      const double scale = WidthOf(within_, place) / WidthOf(other, place);
      least = std::min(least, ChangeOf(other) * scale);
      most = std::max(most, ChangeOf(other) * scale);
      noise = std::max(noise, NoiseOf(other) * scale);
    }
    const double beyond = way > 0 ? way - most : least - way;
    return beyond > 0 && noise > 0 ? beyond / noise : 0;
  }

 private:
  static constexpr size_t kBeside = 3;

  double ChangeOf(const Stretch& s) const {
    return series_[s.last].value - series_[s.first].value;
  }
  double WidthOf(const Stretch& s, Place place) const {
    return place(series_[s.last].step) - place(series_[s.first].step);
  }
  double NoiseOf(const Stretch& s) const {
    return std::hypot(KnownError(series_[s.first].standard_error),
                      KnownError(series_[s.last].standard_error), typical_);
  }

  const Series& series_;
  const Stretch within_;
  const double typical_;
  std::vector<Stretch> beside_;
};

double ByStep(int64_t step) { return static_cast<double>(step); }
double ByLogStep(int64_t step) { return LogStep(static_cast<double>(step)); }

// Of changes in a row that stand out of those around them: the score of the
// whole, less where the grid explains it.
double OnItsGrid(const Series& series, size_t first, size_t end, double score,
                 double typical) {
  const Passage passage(series, {first, end}, typical);
  if (!passage.IsUneven()) return score;
  return std::min({score, passage.ScoreBy(ByStep), passage.ScoreBy(ByLogStep)});
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

// The change of [first, end) that is largest.
size_t SteepestOf(const std::vector<double>& changes, size_t first,
                  size_t end) {
  size_t steepest = first;
  for (size_t i = first; i < end; ++i) {
    if (std::abs(changes[i]) > std::abs(changes[steepest])) steepest = i;
  }
  return steepest;
}

// The jump whose changes are [first, end).
v1::Jump JumpOf(const Series& series, size_t steepest, double score,
                size_t first, size_t end) {
  v1::Jump jump;
  jump.set_after_step(series[steepest].step);
  jump.set_by_step(series[steepest + 1].step);
  jump.set_from_step(series[first].step);
  jump.set_to_step(series[end].step);
  jump.set_before(series[first].value);
  jump.set_after(series[end].value);
  jump.set_score(score);
  jump.set_provisional(end + 1 == series.size());
  return jump;
}

}  // namespace

std::vector<v1::Jump> FindJumps(const Series& series, const JumpRule& rule) {
  std::vector<v1::Jump> jumps;
  if (series.size() < 2) return jumps;
  const std::vector<double> changes = ChangesOf(series);
  const Scores found = ScoresOf(series, changes, rule);
  const std::vector<double>& scores = found.of_changes;
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
    const size_t steepest = SteepestOf(changes, first, end);
    const double score = OnItsGrid(series, first, end,
                                   std::abs(scores[steepest]), found.typical);
    const v1::Jump jump = JumpOf(series, steepest, score, first, end);
    if (score >= rule.min_score &&
        (jump.provisional() || Stays(series, first, end))) {
      jumps.push_back(jump);
    }
    first = end;
  }
  return jumps;
}

}  // namespace sinkwatch::analytics

#ifndef SINKWATCH_SERVER_ANALYTICS_HEAD_STATE_H_
#define SINKWATCH_SERVER_ANALYTICS_HEAD_STATE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::analytics {

// What two stored values, which are float32, may lie beside a bound of their
// difference or quotient that they are meant to meet.
inline constexpr double kRounding = 1e-6;

// The bounds of states, as float32. Those of metrics come from their
// descriptors; the defaults are calibrated on a toy model only.
struct HeadStateRule {
  double dormant = .9;   // dormancy from there on
  double active = .1;    // dormancy up to there
  double drained = .5;   // drain up to there
  double quiet = .3;     // of the head's largest write over domains
  double contrast = .3;  // switching from this difference of dormancy on
  double awake = .5;     // and this dormancy on some domain
  int consecutive = 2;   // checkpoints in a row that make a change
};

// What is known of a head on a domain at a checkpoint; NaN where it is not.
struct HeadSignals {
  double dormancy = std::numeric_limits<double>::quiet_NaN();
  double dormancy_error = std::numeric_limits<double>::quiet_NaN();
  double drain = std::numeric_limits<double>::quiet_NaN();
  double write = std::numeric_limits<double>::quiet_NaN();
};

// What a head does on one of its domains:
//
//   dormancy >= dormant  -> dormant, or broadcast if its value is not drained
//   dormancy <= active   -> active, or quiet if it writes at most `quiet` of
//                           `largest_write`, the most it writes on any domain
//   else                 -> mixed
//
// A drain or a write that is not known decides nothing. UNSPECIFIED without a
// dormancy.
v1::HeadState StateOf(const HeadSignals& signals, double largest_write,
                      const HeadStateRule& rule);

// The largest write of a head over its domains; NaN if none is known.
double LargestWrite(const std::vector<HeadSignals>& domains);

// The two domains whose dormancies differ most, as indices (high, low). The
// same index twice without a second domain that has a dormancy.
std::pair<size_t, size_t> FurthestApart(
    const std::vector<HeadSignals>& domains);

// Whether a head is switching if the interval of its largest difference does
// not hold 0: that difference is at least `contrast`, and it is dormant for at
// least the share `awake` of queries on some domain.
bool MaySwitch(const std::vector<HeadSignals>& domains,
               const HeadStateRule& rule);

// What a head does over all its domains: switching if it may and the two
// domains that are furthest apart are told apart; always active or dormant if
// it is on every domain; else OTHER. UNSPECIFIED where the dormancy of a domain
// is not known and the others do not make it switching, and for what would be
// OTHER with fewer than two domains. `told_apart`: whether the interval that
// the sequences give excludes 0; none where they are not known, then the
// standard errors say it, and where these are not known either they are told
// apart.
v1::HeadType TypeOf(const std::vector<HeadSignals>& domains,
                    const HeadStateRule& rule,
                    std::optional<bool> told_apart = std::nullopt);

// One of several states over checkpoints, with hysteresis: it changes only when
// `consecutive` observations in a row say the same other state. The first
// observation is taken as it is. 0 is "not known" and is passed over.
class Settled {
 public:
  explicit Settled(int consecutive) : consecutive_(consecutive) {}

  // Whether this observation completed a change; from the first one on it is
  // not one.
  bool Observe(int state, int64_t step);

  int state() const { return state_; }
  // The first checkpoint of those that made it what it is.
  int64_t since() const { return since_; }
  // What it was before the last change.
  int before() const { return before_; }

 private:
  int consecutive_;
  int state_ = 0;
  int64_t since_ = -1;
  int before_ = 0;
  int candidate_ = 0;
  int64_t candidate_since_ = -1;
  int seen_ = 0;
};

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_HEAD_STATE_H_

#include "server/analytics/head_state.h"

#include <algorithm>
#include <cmath>

#include "server/analytics/contrast.h"
#include "server/analytics/series_point.h"

namespace sinkwatch::analytics {
namespace {

v1::Contrast WidestContrast(const std::vector<HeadSignals>& domains,
                            std::pair<size_t, size_t> pair) {
  const HeadSignals& high = domains[pair.first];
  const HeadSignals& low = domains[pair.second];
  return DifferenceOf({high.dormancy, high.dormancy_error},
                      {low.dormancy, low.dormancy_error});
}

bool ErrorsTellApart(const std::vector<HeadSignals>& domains) {
  const v1::Contrast contrast = WidestContrast(domains, FurthestApart(domains));
  return std::isnan(contrast.standard_error()) || ExcludesZero(contrast);
}

bool IsKnown(const HeadSignals& signals) {
  return !std::isnan(signals.dormancy);
}

// Another domain that has a dormancy; `one` if there is none.
size_t OtherKnown(const std::vector<HeadSignals>& domains, size_t one) {
  for (size_t d = 0; d < domains.size(); ++d) {
    if (d != one && IsKnown(domains[d])) return d;
  }
  return one;
}

}  // namespace

v1::HeadState StateOf(const HeadSignals& signals, double largest_write,
                      const HeadStateRule& rule) {
  if (std::isnan(signals.dormancy)) return v1::HEAD_STATE_UNSPECIFIED;
  if (signals.dormancy >= AsStored(rule.dormant)) {
    return signals.drain > AsStored(rule.drained) ? v1::HEAD_STATE_BROADCAST
                                                  : v1::HEAD_STATE_DORMANT;
  }
  if (signals.dormancy > AsStored(rule.active)) return v1::HEAD_STATE_MIXED;
  const double little = rule.quiet * largest_write * (1 + kRounding);
  return signals.write <= little ? v1::HEAD_STATE_QUIET : v1::HEAD_STATE_ACTIVE;
}

double LargestWrite(const std::vector<HeadSignals>& domains) {
  double largest = std::numeric_limits<double>::quiet_NaN();
  for (const HeadSignals& signals : domains) {
    largest = std::fmax(largest, signals.write);
  }
  return largest;
}

std::pair<size_t, size_t> FurthestApart(
    const std::vector<HeadSignals>& domains) {
  size_t high = 0, low = 0;
  bool any = false;
  for (size_t d = 0; d < domains.size(); ++d) {
    const double dormancy = domains[d].dormancy;
    if (std::isnan(dormancy)) continue;
    if (!any || dormancy > domains[high].dormancy) high = d;
    if (!any || dormancy < domains[low].dormancy) low = d;
    any = true;
  }
  if (any && high == low) low = OtherKnown(domains, high);
  return {high, low};
}

bool MaySwitch(const std::vector<HeadSignals>& domains,
               const HeadStateRule& rule) {
  const auto [high, low] = FurthestApart(domains);
  if (high == low) return false;
  const double difference = domains[high].dormancy - domains[low].dormancy;
  return difference >= rule.contrast - kRounding &&
         domains[high].dormancy >= AsStored(rule.awake);
}

v1::HeadType TypeOf(const std::vector<HeadSignals>& domains,
                    const HeadStateRule& rule, std::optional<bool> told_apart) {
  if (MaySwitch(domains, rule) &&
      told_apart.value_or(ErrorsTellApart(domains))) {
    return v1::HEAD_TYPE_SWITCHING;
  }
  if (!std::all_of(domains.begin(), domains.end(), IsKnown)) {
    return v1::HEAD_TYPE_UNSPECIFIED;
  }
  const double largest = LargestWrite(domains);
  const auto all = [&](v1::HeadState state) {
    return !domains.empty() &&
           std::all_of(domains.begin(), domains.end(),
                       [&](const HeadSignals& s) {
                         return StateOf(s, largest, rule) == state;
                       });
  };
  if (all(v1::HEAD_STATE_DORMANT)) return v1::HEAD_TYPE_ALWAYS_DORMANT;
  if (all(v1::HEAD_STATE_ACTIVE)) return v1::HEAD_TYPE_ALWAYS_ACTIVE;
  return domains.size() < 2 ? v1::HEAD_TYPE_UNSPECIFIED : v1::HEAD_TYPE_OTHER;
}

bool Settled::Observe(int state, int64_t step) {
  if (state == 0) return false;
  if (state_ == 0) {
    state_ = state;
    since_ = step;
    return false;
  }
  if (state != candidate_) {
    candidate_ = state;
    candidate_since_ = step;
    seen_ = 0;
  }
  ++seen_;
  if (state == state_ || seen_ < consecutive_) return false;
  before_ = state_;
  state_ = state;
  since_ = candidate_since_;
  return true;
}

}  // namespace sinkwatch::analytics

#include "server/analytics/onset_order.h"

#include <limits>

#include "server/analytics/emergence.h"
#include "server/analytics/rise.h"

namespace sinkwatch::analytics {
namespace {

// Whether all of `first` lies before all of `second`: (.., by] and (after, ..].
// What is provisional may still come later, so it lies before nothing.
bool LiesBefore(const v1::Emergence& first, const v1::Emergence& second) {
  if (!HasEmerged(first) || first.provisional() ||
      second.censoring() == v1::CENSORING_LEFT ||
      second.censoring() == v1::CENSORING_UNMEASURED) {
    return false;
  }
  return first.by_step() <= second.after_step();
}

}  // namespace

OnsetOrder OrderOf(const v1::Emergence& first, const v1::Emergence& second) {
  OnsetOrder result;
  result.gap = std::numeric_limits<double>::quiet_NaN();
  if (LiesBefore(first, second)) result.order = Order::kEarlier;
  if (LiesBefore(second, first)) result.order = Order::kLater;
  if (first.censoring() == v1::CENSORING_NONE &&
      second.censoring() == v1::CENSORING_NONE) {
    result.gap = LogStep(second.estimate()) - LogStep(first.estimate());
  }
  return result;
}

}  // namespace sinkwatch::analytics

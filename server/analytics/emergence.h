#ifndef SINKWATCH_SERVER_ANALYTICS_EMERGENCE_H_
#define SINKWATCH_SERVER_ANALYTICS_EMERGENCE_H_

#include <vector>

#include "server/analytics/series_point.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::analytics {

struct EmergenceRule {
  double threshold = 0.5;
  // Beyond means value >= threshold, or <= with `below`; the threshold as
  // float32, which values are.
  bool below = false;
  // Consecutive checkpoints that must lie beyond it.
  int consecutive = 2;
};

// When a series (ascending by step) first lay beyond a threshold for
// `consecutive` checkpoints in a row. It may fall back later: reversal_step is
// the first of as many in a row that do not lie beyond; holds_from_step says
// from where on all do, if the last checkpoint does. A grid of checkpoints only
// brackets a crossing, so the answer is an interval:
//
//   none   (after_step, by_step]: by_step is the first of `consecutive`
//          checkpoints beyond the threshold; the estimate interpolates the
//          crossing linearly in the value over ln(1 + step)
//   left   beyond it from the first checkpoint on; by_step is that one
//   right  never for long enough; after_step is the last checkpoint
//   unmeasured  an empty series: nothing is known
//
// provisional: beyond it up to the last checkpoint, but for fewer checkpoints
// than asked for; by_step and estimate are as for `none`. The key, the rise
// and tokens are left unset.
v1::Emergence FindEmergence(const std::vector<SeriesPoint>& series,
                            const EmergenceRule& rule);

// Whether it emerged, be it provisionally or before the first checkpoint.
bool HasEmerged(const v1::Emergence& emergence);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_EMERGENCE_H_

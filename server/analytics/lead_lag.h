#ifndef SINKWATCH_SERVER_ANALYTICS_LEAD_LAG_H_
#define SINKWATCH_SERVER_ANALYTICS_LEAD_LAG_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "server/analytics/series_point.h"

namespace sinkwatch::analytics {

// Which of two series changes first. It describes, and judges nothing: a lag is
// no cause.
struct LeadLag {
  int points = 0;  // checkpoints that both have
  // By how many places of the grid y comes after x; below 0: before. And how
  // much that is in ln(1 + step).
  int lag = 0;
  double log_steps = 0;
  // Of the changes, at that lag: the largest in size of all lags.
  double correlation = 0;
  // The share of pairs of unrelated series that come as far at some lag.
  double p = 1;
};

// Of the checkpoints that both have, from `first_step` on. Both are read off at
// as many places, 100 at most, that are even in ln(1 + step), with lines
// between checkpoints; of the changes from place to place the cross-correlation
// is
//
//   sum_i (dx_i - mean dx) (dy_{i + lag} - mean dy) / (n sd dx sd dy)
//
// at lags up to a quarter of them. p compares its largest size with that of 999
// series made of blocks of dy (as long as the cube root of their number), drawn
// with replacement, always the same ones, which keep what is usual within dy
// and lose what ties it to dx. None with fewer than 12 such checkpoints, or
// where one of the two does not change but evenly.
std::optional<LeadLag> LeadLagOf(const std::vector<SeriesPoint>& x,
                                 const std::vector<SeriesPoint>& y,
                                 int64_t first_step);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_LEAD_LAG_H_

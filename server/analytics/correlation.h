#ifndef SINKWATCH_SERVER_ANALYTICS_CORRELATION_H_
#define SINKWATCH_SERVER_ANALYTICS_CORRELATION_H_

#include <cstdint>
#include <vector>

#include "server/analytics/series_point.h"

namespace sinkwatch::analytics {

// How two series go together over the checkpoints that both have. It describes,
// and judges nothing: any two curves with a trend have a level correlation near
// 1 or -1, and differences do not rescue it.
struct Correlation {
  int points = 0;
  // NaN of fewer than 3 points, or where one of the two does not vary.
  double pearson = 0;
  double spearman = 0;
  // Of the changes from checkpoint to checkpoint, each divided by that of
  // ln(1 + step).
  double pearson_of_changes = 0;
};

// Steps from `first_step` on.
Correlation Correlate(const std::vector<SeriesPoint>& x,
                      const std::vector<SeriesPoint>& y, int64_t first_step);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_CORRELATION_H_

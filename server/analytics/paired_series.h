#ifndef SINKWATCH_SERVER_ANALYTICS_PAIRED_SERIES_H_
#define SINKWATCH_SERVER_ANALYTICS_PAIRED_SERIES_H_

#include <cstdint>
#include <vector>

#include "server/analytics/series_point.h"

namespace sinkwatch::analytics {

// Two series at the steps that both have, ascending; all of one size.
struct PairedSeries {
  std::vector<double> log_step;  // ln(1 + step)
  std::vector<double> x, y;
};

// From `first_step` on.
PairedSeries PairOf(const std::vector<SeriesPoint>& x,
                    const std::vector<SeriesPoint>& y, int64_t first_step);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_PAIRED_SERIES_H_

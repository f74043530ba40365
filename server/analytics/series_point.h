#ifndef SINKWATCH_SERVER_ANALYTICS_SERIES_POINT_H_
#define SINKWATCH_SERVER_ANALYTICS_SERIES_POINT_H_

#include <cstdint>
#include <limits>

namespace sinkwatch::analytics {

// One value of a series. Series ascend by step and hold no value that is NaN.
struct SeriesPoint {
  int64_t step = 0;
  double value = 0;
  // NaN where it cannot be told.
  double standard_error = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_SERIES_POINT_H_

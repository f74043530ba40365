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

// A bound as stored values can meet it: these are float32, and the float32 that
// is nearest to .9 lies below .9.
inline double AsStored(double bound) {
  return static_cast<double>(static_cast<float>(bound));
}

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_SERIES_POINT_H_

#ifndef SINKWATCH_SERVER_ANALYTICS_THINNING_H_
#define SINKWATCH_SERVER_ANALYTICS_THINNING_H_

#include <cstddef>
#include <vector>

#include "server/analytics/head_aggregation.h"

namespace sinkwatch::analytics {

// The rows of a series that a drawing of `max_points` (4 or more) needs,
// ascending; all of them if there are no more. The first and the last are kept,
// and extremes, by the rule of QuerySeriesRequest.max_points.
std::vector<size_t> KeptRows(const Matrix& matrix, size_t max_points);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_THINNING_H_

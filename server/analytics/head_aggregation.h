#ifndef SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_
#define SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_

#include <string>
#include <vector>

#include "proto/sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::analytics {

// The values of a layer's heads as one number; NaN values are left out, and
// NaN is the answer if none is left. Quantiles interpolate linearly.
// `aggregation` is not EACH.
double AggregateHeads(std::vector<float> values, v1::Aggregation aggregation);

// "max", "mean", ...: what a column that was aggregated so is labelled with.
std::string AggregationName(v1::Aggregation aggregation);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_

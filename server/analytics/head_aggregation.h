#ifndef SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_
#define SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_

#include <vector>

#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::analytics {

// Of a list that ascends and is not empty, interpolated linearly between its
// members; q in 0..1.
double Quantile(const std::vector<float>& sorted, double q);

// The values of a layer's heads as one number; NaN values are left out, and
// NaN is the answer if none is left.
// `aggregation` is not EACH.
double AggregateHeads(std::vector<float> values, v1::Aggregation aggregation);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_

#ifndef SINKWATCH_SERVER_ANALYTICS_ORDER_STATISTICS_H_
#define SINKWATCH_SERVER_ANALYTICS_ORDER_STATISTICS_H_

#include <vector>

namespace sinkwatch::analytics {

// Of numbers, of which there is at least one; between the two middle ones.
double MedianOf(std::vector<double> values);

// A standard deviation that outliers do not move: 1.4826 times the median of
// absolute distances from `centre`. Exact for a normal distribution.
double ScatterAround(double centre, const std::vector<double>& values);

// The rank of each number from 1 on; equal ones share the mean of theirs.
std::vector<double> RanksOf(const std::vector<double>& values);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_ORDER_STATISTICS_H_

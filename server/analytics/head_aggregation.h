#ifndef SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_
#define SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_

#include <cstddef>
#include <vector>

#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::analytics {

// Of a list that ascends and is not empty, interpolated linearly between its
// members; q in 0..1.
double Quantile(const std::vector<float>& sorted, double q);

// The numbers that an aggregation answers with, in order: five of BAND, itself
// of any other. Not of EACH.
std::vector<v1::Aggregation> StatisticsOf(v1::Aggregation aggregation);

// Values as one number; NaN values are left out, and NaN is the answer if none
// is left. `statistic` is one that StatisticsOf gives.
double AggregateHeads(std::vector<float> values, v1::Aggregation statistic);

// Rows of values that belong together, row after row.
struct Matrix {
  size_t columns = 0;
  std::vector<float> values;  // rows x columns

  size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
};

// Each group of columns as the statistics of `aggregation`, row by row: column
// g * statistics + s of the answer is statistic s of group g.
Matrix AggregateColumns(const Matrix& matrix,
                        const std::vector<std::vector<size_t>>& groups,
                        v1::Aggregation aggregation);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_HEAD_AGGREGATION_H_

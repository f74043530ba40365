#ifndef SINKWATCH_SERVER_QUERY_COLUMNS_H_
#define SINKWATCH_SERVER_QUERY_COLUMNS_H_

#include <vector>

#include "server/analytics/head_aggregation.h"
#include "server/store/series.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// "L3H1", "L3", or the metric's name; with layer and head where it has them.
v1::SeriesKey KeyOf(const store::SeriesColumn& column,
                    const v1::MetricDescriptor& metric);

// A stored series as the selector wants it: its heads, or what they come to.
struct SelectedColumns {
  std::vector<v1::SeriesKey> keys;  // one per column
  analytics::Matrix values;
  // As values; empty where heads were aggregated.
  analytics::Matrix standard_errors;
};

// Takes the values out of `series`. Aggregates over the heads of a layer, or
// over everything if the selector says so.
SelectedColumns SelectColumns(store::Series& series,
                              const v1::SeriesSelector& selector);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_COLUMNS_H_

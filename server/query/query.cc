#include "server/query/query.h"

#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/analytics/emergence.h"
#include "server/analytics/head_aggregation.h"
#include "server/query/series_pages.h"

namespace sinkwatch::query {
namespace {

constexpr int kDefaultConsecutive = 2;

bool IsAggregated(const v1::SeriesSelector& selector) {
  return selector.aggregation() != v1::AGGREGATION_UNSPECIFIED &&
         selector.aggregation() != v1::AGGREGATION_EACH;
}

// Positions of the columns of each layer; one without layer is its own group.
std::map<int, std::vector<int>> ColumnsByLayer(
    const v1::QuerySeriesResponse& each) {
  std::map<int, std::vector<int>> by_layer;
  for (int i = 0; i < each.columns_size(); ++i) {
    const v1::SeriesKey& key = each.columns(i);
    by_layer[key.has_layer() ? key.layer() : INT32_MIN].push_back(i);
  }
  return by_layer;
}

v1::SeriesKey LayerKey(const v1::SeriesKey& of_head) {
  v1::SeriesKey key = of_head;
  key.clear_head();
  if (key.has_layer()) key.set_label(absl::StrCat("L", key.layer()));
  return key;
}

v1::QuerySeriesResponse Aggregate(const v1::QuerySeriesResponse& each,
                                  v1::Aggregation aggregation) {
  const auto by_layer = ColumnsByLayer(each);
  v1::QuerySeriesResponse response;
  *response.mutable_metric() = each.metric();
  response.set_next_page_token(each.next_page_token());
  for (const auto& [layer, columns] : by_layer) {
    *response.add_columns() = LayerKey(each.columns(columns.front()));
  }
  for (const v1::SeriesRow& row : each.rows()) {
    v1::SeriesRow& out = *response.add_rows();
    out.set_step(row.step());
    out.set_tokens(row.tokens());
    for (const auto& [layer, columns] : by_layer) {
      std::vector<float> values;
      for (int column : columns) values.push_back(row.values(column));
      out.add_values(static_cast<float>(
          analytics::AggregateHeads(std::move(values), aggregation)));
      out.add_standard_errors(std::numeric_limits<float>::quiet_NaN());
    }
  }
  return response;
}

// The values of a column that are there, by step.
std::vector<analytics::SeriesPoint> PointsOf(
    const v1::QuerySeriesResponse& series, int column) {
  std::vector<analytics::SeriesPoint> points;
  for (const v1::SeriesRow& row : series.rows()) {
    const float value = row.values(column);
    if (!std::isnan(value)) points.push_back({row.step(), value});
  }
  return points;
}

}  // namespace

absl::StatusOr<v1::QuerySeriesResponse> QuerySeries(
    store::Store& store, const v1::QuerySeriesRequest& request) {
  auto each = store.QuerySeries(request);
  if (!each.ok() || !IsAggregated(request.selector())) return each;
  return Aggregate(*each, request.selector().aggregation());
}

absl::StatusOr<v1::GetEmergenceResponse> GetEmergence(
    store::Store& store, const v1::GetEmergenceRequest& request) {
  if (!std::isfinite(request.threshold())) {
    return absl::InvalidArgumentError("threshold must be a finite number");
  }
  v1::QuerySeriesRequest first;
  *first.mutable_selector() = request.selector();
  const auto whole =
      JoinPages(first, [&store](const v1::QuerySeriesRequest& page) {
        return QuerySeries(store, page);
      });
  if (!whole.ok()) return whole.status();

  analytics::EmergenceRule rule;
  rule.threshold = request.threshold();
  rule.below = request.below();
  rule.consecutive =
      request.consecutive() > 0 ? request.consecutive() : kDefaultConsecutive;
  v1::GetEmergenceResponse response;
  *response.mutable_metric() = whole->metric();
  for (int column = 0; column < whole->columns_size(); ++column) {
    v1::Emergence& emergence = *response.add_emergences();
    emergence = analytics::FindEmergence(PointsOf(*whole, column), rule);
    *emergence.mutable_key() = whole->columns(column);
  }
  return response;
}

}  // namespace sinkwatch::query

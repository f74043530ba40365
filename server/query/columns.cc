#include "server/query/columns.h"

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/answers/names.h"

namespace sinkwatch::query {
namespace {

bool IsOfHeads(const v1::MetricDescriptor& metric) {
  return metric.scope() == v1::SCOPE_HEAD ||
         metric.scope() == v1::SCOPE_KV_HEAD;
}

using Groups = std::vector<std::vector<size_t>>;

// Columns of a layer lie side by side.
Groups GroupsOf(const store::Series& series, bool across_layers) {
  Groups groups;
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const bool same =
        c > 0 && (across_layers ||
                  series.columns[c].first == series.columns[c - 1].first);
    if (!same) groups.emplace_back();
    groups.back().push_back(c);
  }
  return groups;
}

std::string LabelOf(const v1::SeriesKey& key, const store::Series& series,
                    const v1::SeriesSelector& selector) {
  if (selector.across_layers()) return key.statistic();
  const std::string place =
      key.has_layer() ? absl::StrCat("L", key.layer()) : series.metric.name();
  return selector.aggregation() == v1::AGGREGATION_BAND
             ? absl::StrCat(place, " ", key.statistic())
             : place;
}

std::vector<v1::SeriesKey> KeysOf(const Groups& groups,
                                  const store::Series& series,
                                  const v1::SeriesSelector& selector) {
  std::vector<v1::SeriesKey> keys;
  for (const std::vector<size_t>& group : groups) {
    const std::optional<int>& layer = series.columns[group.front()].first;
    for (v1::Aggregation s : analytics::StatisticsOf(selector.aggregation())) {
      v1::SeriesKey& key = keys.emplace_back();
      if (layer.has_value() && !selector.across_layers()) key.set_layer(*layer);
      key.set_statistic(answers::AggregationName(s));
      key.set_label(LabelOf(key, series, selector));
    }
  }
  return keys;
}

}  // namespace

v1::SeriesKey KeyOf(const store::SeriesColumn& column,
                    const v1::MetricDescriptor& metric) {
  v1::SeriesKey key;
  if (column.first.has_value()) key.set_layer(*column.first);
  if (IsOfHeads(metric)) key.set_head(column.second);
  if (!column.first.has_value()) {
    key.set_label(metric.name());
  } else if (IsOfHeads(metric)) {
    key.set_label(absl::StrCat("L", *column.first, "H", column.second));
  } else {
    key.set_label(absl::StrCat("L", *column.first));
  }
  return key;
}

SelectedColumns SelectColumns(store::Series& series,
                              const v1::SeriesSelector& selector) {
  SelectedColumns selected;
  const size_t columns = series.columns.size();
  selected.values = {columns, std::move(series.values)};
  if (selector.aggregation() == v1::AGGREGATION_UNSPECIFIED ||
      selector.aggregation() == v1::AGGREGATION_EACH) {
    selected.standard_errors = {columns, std::move(series.standard_errors)};
    for (const store::SeriesColumn& column : series.columns) {
      selected.keys.push_back(KeyOf(column, series.metric));
    }
    return selected;
  }
  const Groups groups = GroupsOf(series, selector.across_layers());
  selected.keys = KeysOf(groups, series, selector);
  selected.values = analytics::AggregateColumns(selected.values, groups,
                                                selector.aggregation());
  return selected;
}

}  // namespace sinkwatch::query

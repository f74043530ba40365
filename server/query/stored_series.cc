// How Queries reads stored series, of one run or of several.
#include "server/query/stored_series.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/answers/parse.h"
#include "server/query/name_list.h"
#include "server/query/queries.h"
#include "server/query/unknown.h"

namespace sinkwatch::query {

store::SeriesQuery QueryOf(const v1::SeriesSelector& selector) {
  store::SeriesQuery query;
  query.run = selector.run();
  query.metric = selector.metric();
  query.layers = {selector.layers().begin(), selector.layers().end()};
  query.heads = {selector.heads().begin(), selector.heads().end()};
  query.include_implausible = selector.include_implausible();
  query.max_steps = kMaxRead;
  query.max_cells = kMaxRead;
  return query;
}

absl::Status Queries::ExplainMetric(const Place& place,
                                    const std::string& metric,
                                    const absl::Status& status) {
  v1::ListMetricsRequest request;
  request.set_run(place.run.name());
  ASSIGN_OR_RETURN(const v1::ListMetricsResponse list,
                   store_->ListMetrics(request));
  std::vector<std::string> names;
  for (const v1::MetricDescriptor& known : list.metrics()) {
    if (known.name() == metric) return status;
    names.push_back(known.name());
  }
  return UnknownName(
      absl::StrCat("run \"", place.run.name(), "\" has no metric"), metric,
      names, "it has no measurements yet");
}

absl::StatusOr<store::Series> Queries::ReadStored(
    const Place& place, const store::SeriesQuery& query) {
  store::SeriesQuery at = query;
  at.stage = place.stage;
  at.domain = place.domain;
  auto series = store_->ReadSeries(at);
  if (absl::IsNotFound(series.status())) {
    return ExplainMetric(place, query.metric, series.status());
  }
  if (absl::IsOutOfRange(series.status())) {
    return answers::BadParameter("max_cells", series.status().message());
  }
  return series;
}

absl::Status Queries::CheckNumbers(const Place& place,
                                   const v1::SeriesSelector& selector,
                                   const store::Series& series) {
  std::set<int64_t> layers, heads;
  const auto note = [&](const store::Series& some) {
    for (const store::SeriesColumn& column : some.columns) {
      if (column.first.has_value()) layers.insert(*column.first);
      heads.insert(column.second);
    }
  };
  const auto missing =
      [](const auto& wanted,
         const std::set<int64_t>& there) -> std::optional<int64_t> {
    for (int32_t number : wanted) {
      if (there.count(number) == 0) return number;
    }
    return std::nullopt;
  };
  note(series);
  if (!missing(selector.layers(), layers) &&
      !missing(selector.heads(), heads)) {
    return absl::OkStatus();
  }
  // What there is, whatever was asked for: of the newest step.
  store::SeriesQuery newest = QueryOf(selector);
  newest.layers.clear();
  newest.heads.clear();
  newest.newest = true;
  newest.max_steps = 1;
  newest.include_implausible = true;
  ASSIGN_OR_RETURN(const store::Series all, ReadStored(place, newest));
  note(all);
  const std::string lack =
      absl::StrCat("metric \"", selector.metric(), "\" of run \"",
                   selector.run(), "\" has no ");
  const auto layer = missing(selector.layers(), layers);
  if (layer.has_value() && !layers.empty()) {
    return UnknownNumber(lack + "layer", *layer, layers);
  }
  const auto head = missing(selector.heads(), heads);
  const v1::Scope scope = series.metric.scope();
  const bool of_heads = scope == v1::SCOPE_HEAD || scope == v1::SCOPE_KV_HEAD;
  if (head.has_value() && of_heads) {
    return UnknownNumber(lack + "head", *head, heads);
  }
  return absl::OkStatus();
}

absl::StatusOr<store::Series> Queries::Read(
    const Place& place, const v1::SeriesSelector& selector) {
  ASSIGN_OR_RETURN(store::Series series, ReadStored(place, QueryOf(selector)));
  RETURN_IF_ERROR(CheckNumbers(place, selector, series));
  return series;
}

absl::StatusOr<Queries::StoredSeries> Queries::Stored(
    const v1::SeriesSelector& selector) {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(selector));
  StoredSeries stored;
  ASSIGN_OR_RETURN(stored.series, Read(place, selector));
  stored.stage = place.stage;
  stored.domain = place.domain;
  return stored;
}

absl::StatusOr<Queries::Gathered> Queries::Gather(
    const v1::SeriesSelector& selector) {
  std::vector<std::string> names = {selector.run()};
  names.insert(names.end(), selector.more_runs().begin(),
               selector.more_runs().end());
  RETURN_IF_ERROR(CheckNameList("runs", names));
  Gathered gathered;
  std::vector<RunColumns> runs;
  for (const std::string& name : names) {
    v1::SeriesSelector one = selector;
    one.set_run(name);
    ASSIGN_OR_RETURN(const Place place, PlaceOf(one));
    RunColumns& run = runs.emplace_back();
    run.run = name;
    ASSIGN_OR_RETURN(run.series, Read(place, one));
    gathered.tokens[name].Add(run.series);
    run.selected = SelectColumns(run.series, one);
    gathered.places.push_back(place);
  }
  auto merged = MergeRuns(std::move(runs), kMaxRead, store_->NewHold());
  if (absl::IsOutOfRange(merged.status())) {
    return answers::BadParameter("max_cells", merged.status().message());
  }
  ASSIGN_OR_RETURN(gathered.columns, std::move(merged));
  return gathered;
}

absl::StatusOr<std::vector<std::string>> Queries::MeasuringNotes(
    const Gathered& gathered) {
  std::vector<std::string> all;
  for (const Place& place : gathered.places) {
    ASSIGN_OR_RETURN(const auto notes,
                     MeasuringNotes(place.run.name(), place.stage));
    all.insert(all.end(), notes.begin(), notes.end());
  }
  return all;
}

}  // namespace sinkwatch::query

// The methods of Queries that answer with values.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/base/status_macros.h"
#include "server/analytics/emergence.h"
#include "server/analytics/rise.h"
#include "server/analytics/thinning.h"
#include "server/answers/parse.h"
#include "server/query/gaps.h"
#include "server/query/name_list.h"
#include "server/query/queries.h"
#include "server/query/unknown.h"

namespace sinkwatch::query {
namespace {

constexpr int kDefaultConsecutive = 2;
constexpr int32_t kMinPoints = 4;
// Values that one question may read: 80 layers of 64 heads over 3,000 steps are
// fifteen million.
constexpr int64_t kMaxRead = 20'000'000;

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

absl::Status TooMany(const char* rule, int64_t size, const char* what,
                     int64_t cap, int64_t most) {
  return answers::BadParameter(
      rule, absl::StrCat(size, " ", what, " are above ", rule, "=", cap,
                         ": select layers and heads, aggregate, thin with "
                         "max_points, or ask for ",
                         rule, " up to ", most));
}

absl::Status CheckPoints(int32_t max_points) {
  if (max_points == 0 || max_points >= kMinPoints) return absl::OkStatus();
  return answers::BadParameter(
      "out_of_range",
      absl::StrCat("max_points=", max_points, " is neither 0 nor at least 4"));
}

absl::Status CheckColumns(const v1::QuerySeriesRequest& request,
                          int64_t columns) {
  const int64_t cap =
      request.max_columns() > 0
          ? std::min<int64_t>(request.max_columns(), kMaxColumns)
          : kMaxColumns;
  if (columns <= cap) return absl::OkStatus();
  return TooMany("max_columns", columns, "columns", cap, kMaxColumns);
}

// The rows that an answer on all pages together has.
std::vector<size_t> RowsOf(const v1::QuerySeriesRequest& request,
                           const SelectedColumns& selected) {
  const analytics::Matrix& values = selected.values;
  size_t most = request.max_points() > 0 ? request.max_points() : values.rows();
  if (request.max_points() > 0 && request.max_rows() > 0 &&
      values.columns > 0) {
    most = std::min<size_t>(most, kMaxValues / values.columns);
  }
  return analytics::KeptRows(values, std::max<size_t>(most, kMinPoints));
}

absl::Status CheckRows(const v1::QuerySeriesRequest& request, int64_t rows,
                       int64_t columns) {
  if (request.max_rows() <= 0) return absl::OkStatus();
  if (rows > request.max_rows()) {
    return TooMany("max_rows", rows, "rows", request.max_rows(), INT32_MAX);
  }
  if (rows * columns > kMaxValues) {
    return TooMany("max_cells", rows * columns, "values", kMaxValues,
                   kMaxValues);
  }
  return absl::OkStatus();
}

// Where a page begins and what columns its query has; its token is
// "step:columns", the step that of the row before it.
struct PageToken {
  int64_t step = INT64_MIN;
  int64_t columns = -1;

  static absl::StatusOr<PageToken> Parse(const std::string& text) {
    PageToken token;
    if (text.empty()) return token;
    const std::vector<std::string> parts = absl::StrSplit(text, ':');
    if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &token.step) &&
        absl::SimpleAtoi(parts[1], &token.columns)) {
      return token;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("page_token \"", text, "\" is not one of this list"));
  }
};

// A series that is read and selected, and the rows of it that are answered.
struct Answered {
  const store::Series& series;
  const SelectedColumns& selected;
  std::vector<size_t> rows;
};

size_t PageRows(const v1::QuerySeriesRequest& request, size_t columns) {
  if (request.max_rows() > 0) return request.max_rows();
  const size_t most =
      std::max<size_t>(1, kMaxValues / std::max<size_t>(1, columns));
  return request.page_size() > 0 ? std::min<size_t>(request.page_size(), most)
                                 : most;
}

void AddRow(const analytics::Matrix& matrix, size_t row,
            google::protobuf::RepeatedField<float>* out) {
  const float* const begin = matrix.values.data() + row * matrix.columns;
  out->Add(begin, begin + matrix.columns);
}

void FillPage(const v1::QuerySeriesRequest& request, const PageToken& token,
              const Answered& answered, v1::QuerySeriesResponse& response) {
  const std::vector<int64_t>& steps = answered.series.steps;
  const size_t columns = answered.selected.values.columns;
  const bool errors = !request.omit_standard_errors() &&
                      !answered.selected.standard_errors.values.empty();
  auto at = std::find_if(answered.rows.begin(), answered.rows.end(),
                         [&](size_t row) { return steps[row] > token.step; });
  const size_t left = answered.rows.end() - at;
  const size_t count = std::min(left, PageRows(request, columns));
  response.mutable_values()->Reserve(static_cast<int>(count * columns));
  for (const auto end = at + count; at != end; ++at) {
    response.add_steps(steps[*at]);
    response.add_tokens(answered.series.tokens[*at]);
    AddRow(answered.selected.values, *at, response.mutable_values());
    if (!errors) continue;
    AddRow(answered.selected.standard_errors, *at,
           response.mutable_standard_errors());
  }
  if (count < left) {
    response.set_next_page_token(absl::StrCat(steps[*(at - 1)], ":", columns));
  }
}

void NoteThinning(const Answered& answered, v1::QuerySeriesResponse& response) {
  const size_t all = answered.series.steps.size();
  response.set_total_steps(all);
  response.set_thinned(answered.rows.size() < all);
  if (!response.thinned()) return;
  response.add_notes(absl::StrCat(
      answered.rows.size(), " of ", all,
      " steps are shown: the first, the last, and those of extreme values"));
}

// The values of a column that are there, by step, those of some steps left out.
std::vector<analytics::SeriesPoint> PointsOf(const store::Series& series,
                                             const SelectedColumns& selected,
                                             size_t column,
                                             const std::set<int64_t>& but) {
  const analytics::Matrix& values = selected.values;
  const analytics::Matrix& errors = selected.standard_errors;
  std::vector<analytics::SeriesPoint> points;
  for (size_t row = 0; row < values.rows(); ++row) {
    const size_t at = row * values.columns + column;
    if (!std::isfinite(values.values[at])) continue;
    if (but.count(series.steps[row]) != 0) continue;
    points.push_back({series.steps[row], values.values[at]});
    if (!errors.values.empty()) {
      points.back().standard_error = errors.values[at];
    }
  }
  return points;
}

absl::StatusOr<analytics::EmergenceRule> RuleOf(
    const v1::GetEmergenceRequest& request,
    const v1::MetricDescriptor& metric) {
  if (!request.has_threshold() && !metric.has_threshold()) {
    return answers::BadParameter(
        "missing_parameter",
        absl::StrCat("a threshold is needed: metric \"", metric.name(),
                     "\" has none of its own"));
  }
  analytics::EmergenceRule rule;
  rule.threshold =
      request.has_threshold() ? request.threshold() : metric.threshold();
  rule.below = request.has_below() ? request.below() : metric.below();
  rule.consecutive =
      request.consecutive() > 0 ? request.consecutive() : kDefaultConsecutive;
  if (std::isfinite(rule.threshold)) return rule;
  return absl::InvalidArgumentError("threshold must be a finite number");
}

// Says of how many series nothing, or too little, is known.
void NoteLack(const analytics::EmergenceRule& rule,
              v1::GetEmergenceResponse& response) {
  int unmeasured = 0, few = 0;
  for (const v1::Emergence& e : response.emergences()) {
    unmeasured += e.checkpoints() == 0;
    few += e.checkpoints() > 0 && e.checkpoints() < rule.consecutive;
  }
  const std::string of = absl::StrCat(" of ", response.emergences_size());
  if (unmeasured > 0) {
    response.add_notes(
        absl::StrCat(unmeasured, of, " series were not measured"));
  }
  if (few > 0) {
    response.add_notes(absl::StrCat(
        few, of, " series have fewer than ", rule.consecutive,
        " checkpoints, too few to emerge other than provisionally"));
  }
}

// The rows of one step, layer by layer.
void FillMatrix(const store::Series& series,
                v1::QueryMatrixResponse& response) {
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const std::optional<int>& layer = series.columns[c].first;
    if (c == 0 || layer != series.columns[c - 1].first) {
      v1::QueryMatrixResponse::Row& row = *response.add_rows();
      if (layer.has_value()) row.set_layer(*layer);
    }
    v1::QueryMatrixResponse::Row& row = *response.mutable_rows()->rbegin();
    row.add_values(series.value(0, c));
    row.add_standard_errors(series.standard_error(0, c));
  }
}

}  // namespace

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
  if (head.has_value() && heads.size() > 1) {
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

template <typename Response>
absl::Status Queries::NoteMeasuring(const Gathered& gathered,
                                    Response& response) {
  for (const Place& place : gathered.places) {
    ASSIGN_OR_RETURN(const auto notes,
                     MeasuringNotes(place.run.name(), place.stage));
    for (const std::string& note : notes) response.add_notes(note);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::QuerySeriesResponse> Queries::Series(
    const v1::QuerySeriesRequest& request) {
  const v1::SeriesSelector& selector = request.selector();
  RETURN_IF_ERROR(CheckPoints(request.max_points()));
  ASSIGN_OR_RETURN(const PageToken token,
                   PageToken::Parse(request.page_token()));
  v1::QuerySeriesResponse response;
  response.set_revision(store_->revision());
  ASSIGN_OR_RETURN(const Gathered gathered, Gather(selector));
  const Place& place = gathered.places[0];
  const store::Series& series = gathered.columns.series;
  const SelectedColumns& selected = gathered.columns.selected;
  const int64_t columns = static_cast<int64_t>(selected.keys.size());
  RETURN_IF_ERROR(CheckColumns(request, columns));
  if (token.columns >= 0 && token.columns != columns) {
    return absl::AbortedError(
        "the run was measured in a new shape between two pages: ask again");
  }
  const Answered answered{series, selected, RowsOf(request, selected)};
  RETURN_IF_ERROR(
      CheckRows(request, static_cast<int64_t>(answered.rows.size()), columns));

  *response.mutable_metric() = series.metric;
  *response.mutable_columns() = {selected.keys.begin(), selected.keys.end()};
  response.set_stage(place.stage);
  response.set_domain(place.domain);
  NoteThinning(answered, response);
  FillPage(request, token, answered, response);
  if (!request.page_token().empty()) return response;
  RETURN_IF_ERROR(NoteMeasuring(gathered, response));
  if (selector.more_runs_size() > 0) {
    response.add_notes(
        "of several runs the gaps are not listed: a step that one of them has "
        "is a row of all");
    return response;
  }
  RETURN_IF_ERROR(
      AddGaps(*store_, place.run, place.stage, series, selector, response));
  return response;
}

absl::StatusOr<v1::QueryMatrixResponse> Queries::Matrix(
    const v1::QueryMatrixRequest& request) {
  v1::SeriesSelector selector;
  selector.set_run(request.run());
  if (request.has_stage()) selector.set_stage(request.stage());
  if (request.has_domain()) selector.set_domain(request.domain());
  selector.set_metric(request.metric());
  v1::QueryMatrixResponse response;
  response.set_revision(store_->revision());
  ASSIGN_OR_RETURN(const Place place, PlaceOf(selector));
  store::SeriesQuery query = QueryOf(selector);
  query.newest = true;
  query.max_steps = 1;
  if (request.has_step()) query.first_step = query.last_step = request.step();
  ASSIGN_OR_RETURN(store::Series series, ReadStored(place, query));
  if (series.steps.empty()) {
    query.include_implausible = true;
    ASSIGN_OR_RETURN(series, ReadStored(place, query));
    response.set_implausible(true);
  }
  if (series.steps.empty() && !series.damaged.empty()) {
    const auto& [step, what] = *series.damaged.rbegin();
    return absl::DataLossError(absl::StrCat(
        "run \"", request.run(), "\", step ", step, ", metric \"",
        request.metric(), "\", domain \"", place.domain, "\": ", what,
        "; `sinkctl store repair` has it measured again"));
  }
  if (series.steps.empty()) {
    const absl::Status lack = absl::NotFoundError(absl::StrCat(
        "run \"", request.run(), "\" has no ", request.metric(),
        " in domain \"", place.domain, "\"",
        request.has_step() ? absl::StrCat(" at step ", request.step()) : ""));
    return request.has_step() ? ExplainStep(place, request.step(), lack) : lack;
  }
  *response.mutable_metric() = series.metric;
  response.set_step(series.steps[0]);
  response.set_tokens(series.tokens[0]);
  response.set_stage(place.stage);
  response.set_domain(place.domain);
  FillMatrix(series, response);
  return response;
}

absl::StatusOr<std::vector<int64_t>> Queries::StepsOfSameWeights(
    const std::string& run, const std::string& stage) {
  return store_->StepsOfSameWeights(run, stage);
}

absl::StatusOr<std::set<int64_t>> Queries::StepsLeftOut(
    const Place& place, const store::Series& series,
    v1::GetEmergenceResponse& response) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> same,
                   store_->StepsOfSameWeights(place.run.name(), place.stage));
  std::set<int64_t> left_out;
  for (int64_t step : same) {
    if (std::binary_search(series.steps.begin(), series.steps.end(), step)) {
      left_out.insert(step);
    }
  }
  if (!left_out.empty()) {
    response.add_notes(absl::StrCat(
        left_out.size(),
        " steps with the same weights as another step are left out, the first "
        "is ",
        *left_out.begin(), ": which of them is right is not known"));
  }
  return left_out;
}

absl::StatusOr<v1::GetEmergenceResponse> Queries::Emergence(
    const v1::GetEmergenceRequest& request) {
  const v1::SeriesSelector& selector = request.selector();
  v1::GetEmergenceResponse response;
  response.set_revision(store_->revision());
  ASSIGN_OR_RETURN(const Gathered gathered, Gather(selector));
  const Place& place = gathered.places[0];
  const store::Series& series = gathered.columns.series;
  const SelectedColumns& selected = gathered.columns.selected;
  ASSIGN_OR_RETURN(const analytics::EmergenceRule rule,
                   RuleOf(request, series.metric));
  std::map<std::string, std::set<int64_t>> left_out;
  if (!selector.include_same_weights()) {
    for (const Place& at : gathered.places) {
      ASSIGN_OR_RETURN(left_out[at.run.name()],
                       StepsLeftOut(at, series, response));
    }
  }
  for (size_t c = 0; c < selected.keys.size(); ++c) {
    const std::string& run = selected.keys[c].run().empty()
                                 ? place.run.name()
                                 : selected.keys[c].run();
    const std::vector<analytics::SeriesPoint> points =
        PointsOf(series, selected, c, left_out[run]);
    v1::Emergence& emergence = *response.add_emergences();
    emergence = analytics::FindEmergence(points, rule);
    *emergence.mutable_key() = selected.keys[c];
    TellTokens(gathered.tokens.at(run), emergence);
    const auto rise = analytics::FindRise(points, rule.below);
    if (rise.has_value()) *emergence.mutable_rise() = *rise;
  }
  NoteLack(rule, response);
  RETURN_IF_ERROR(NoteMeasuring(gathered, response));
  *response.mutable_metric() = series.metric;
  response.set_stage(place.stage);
  response.set_domain(place.domain);
  response.set_threshold(rule.threshold);
  response.set_below(rule.below);
  response.set_consecutive(rule.consecutive);
  return response;
}

}  // namespace sinkwatch::query

// The endpoints that answer with values: series, matrix, emergence.
#include <cstdint>
#include <utility>

#include "proto/base/status_macros.h"
#include "server/answers/names.h"
#include "server/answers/reference_columns.h"
#include "server/answers/tables.h"
#include "server/http/endpoint.h"
#include "server/http/selection.h"

namespace sinkwatch::http {
namespace {

using answers::Extras;

constexpr int64_t kPoints = 2000;
constexpr int64_t kColumns = 1024;
constexpr int64_t kRows = 20'000;
constexpr int64_t kMaxRows = 100'000;

Extras MetricJson(const v1::MetricDescriptor& metric) {
  Extras json = {{"name", metric.name()},
                 {"unit", metric.unit()},
                 {"scope", answers::ScopeName(metric.scope())},
                 {"meaning", metric.meaning()},
                 {"formula", metric.formula()},
                 {"source", metric.source()},
                 {"threshold", nullptr},
                 {"below", nullptr}};
  if (metric.has_threshold()) {
    json["threshold"] = metric.threshold();
    json["below"] = metric.below();
  }
  return json;
}

Extras GapsJson(const answers::Repeated<v1::SeriesGap>& gaps) {
  Extras list = Extras::array();
  for (const v1::SeriesGap& gap : gaps) {
    list.push_back({{"step", gap.step()},
                    {"state", answers::StateName(gap.state())},
                    {"reason", gap.reason()}});
  }
  return list;
}

// The published values of `reference`, if one is asked for, as more columns.
absl::Status LayReference(const Rooms& rooms, const Params& params,
                          const v1::MetricDescriptor& metric,
                          const std::string& x, answers::Table* table) {
  v1::ListReferencesRequest request;
  request.set_reference(params.Text("reference", ""));
  if (request.reference().empty()) return absl::OkStatus();
  if (rooms.references == nullptr) {
    return absl::FailedPreconditionError("this server has no references");
  }
  request.set_metric(metric.name());
  ASSIGN_OR_RETURN(const v1::ListReferencesResponse list,
                   rooms.references->List(request));
  answers::LayReferences(list, x, table);
  return absl::OkStatus();
}

absl::StatusOr<Answer> Series(const Rooms& rooms, Params& params) {
  v1::QuerySeriesRequest request;
  answers::SeriesLayout layout;
  layout.x = params.Choice("x", {"step", "tokens", "log10_step"});
  layout.standard_errors = params.Bool("stderr");
  request.set_omit_standard_errors(!layout.standard_errors);
  request.set_max_points(params.Int("max_points", kPoints, 0, kMaxRows));
  request.set_max_columns(
      params.Int("max_columns", kColumns, 1, query::kMaxColumns));
  request.set_max_rows(params.Int("max_rows", kRows, 1, kMaxRows));
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(params));
  ASSIGN_OR_RETURN(const v1::QuerySeriesResponse series,
                   rooms.queries.Series(request));
  Answer answer;
  std::string note;
  ASSIGN_OR_RETURN(answer.table, answers::SeriesTable(series, layout, &note));
  RETURN_IF_ERROR(
      LayReference(rooms, params, series.metric(), layout.x, &answer.table));
  Extras notes = Extras::array();
  for (const std::string& one : series.notes()) notes.push_back(one);
  if (!note.empty()) notes.push_back(note);
  answer.total = series.total_steps();
  answer.extras = {{"x", layout.x},
                   {"metric", MetricJson(series.metric())},
                   {"stage", series.stage()},
                   {"domain", series.domain()},
                   {"total_steps", series.total_steps()},
                   {"thinned", series.thinned()},
                   {"gaps", GapsJson(series.gaps())},
                   {"total_gaps", series.total_gaps()},
                   {"notes", std::move(notes)}};
  return answer;
}

absl::StatusOr<Answer> Matrix(const Rooms& rooms, Params& params) {
  v1::QueryMatrixRequest request;
  const int64_t step = params.Int("step", -1, 0, INT64_MAX);
  const bool errors = params.Bool("stderr");
  SelectMetric(params, &request);
  RETURN_IF_ERROR(params.status());
  if (step >= 0) request.set_step(step);
  ASSIGN_OR_RETURN(const v1::QueryMatrixResponse matrix,
                   rooms.queries.Matrix(request));
  Answer answer;
  answer.table = answers::MatrixTable(matrix, errors);
  answer.extras = {{"step", matrix.step()},
                   {"metric", MetricJson(matrix.metric())},
                   {"stage", matrix.stage()},
                   {"domain", matrix.domain()},
                   {"implausible", matrix.implausible()}};
  return answer;
}

absl::StatusOr<Answer> Emergence(const Rooms& rooms, Params& params) {
  v1::GetEmergenceRequest request;
  if (!params.Text("threshold", "").empty()) {
    request.set_threshold(params.Number("threshold", 0));
  }
  if (!params.Text("below", "").empty())
    request.set_below(params.Bool("below"));
  request.set_consecutive(params.Int("consecutive", 0, 0, 1000));
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(params));
  ASSIGN_OR_RETURN(const v1::GetEmergenceResponse result,
                   rooms.queries.Emergence(request));
  Answer answer;
  answer.table = answers::EmergenceTable(result);
  answer.extras = {{"metric", MetricJson(result.metric())},
                   {"stage", result.stage()},
                   {"domain", result.domain()},
                   {"threshold", result.threshold()},
                   {"below", result.below()},
                   {"consecutive", result.consecutive()},
                   {"notes", Extras::array()}};
  for (const std::string& note : result.notes()) {
    answer.extras["notes"].push_back(note);
  }
  return answer;
}

}  // namespace

std::vector<Endpoint> ValueEndpoints() {
  const Parameter agg = {"agg",
                         "over heads: each, mean, median, p10, p90, max, min, "
                         "or band (min, p10, median, p90, max)"};
  const Parameter across = {"across_layers",
                            "1: aggregate over all layers together"};
  const Parameter errors = {"stderr", "1: with standard errors"};
  const std::vector<std::string> shapes = {"table", "records"};
  return {
      {"series", "one metric over the steps of a run",
       SeriesParameters(
           kDomain,
           {agg,
            across,
            {"x", "step, tokens or log10_step"},
            errors,
            {"reference", "published values of that name, as more columns"},
            {"max_points",
             "thins to so many rows, keeping extremes; 2000, 0: all"},
            {"max_columns", "more columns are an error; 1024, at most 8192"},
            {"max_rows", "more rows are an error; 20000, at most 100000"}}),
       shapes, false, Series},
      {"matrix",
       "one metric of every layer and head at one step",
       {kRun,
        kMetric,
        kDomain,
        kStage,
        {"step", "the latest if left out"},
        errors},
       shapes,
       false,
       Matrix},
      {"emergence",
       "the step interval in which a metric crossed a threshold and stayed "
       "beyond it for some checkpoints in a row",
       SeriesParameters(
           kDomain,
           {agg,
            across,
            {"include_same_weights",
             "1: with steps whose weights are those of another step"},
            {"threshold", "the metric's own if left out"},
            {"below", "1: crossing downward; as the metric says if left out"},
            {"consecutive", "checkpoints in a row; 2 if left out"}}),
       shapes, false, Emergence}};
}

}  // namespace sinkwatch::http

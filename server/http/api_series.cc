// The endpoints that answer with values: series, matrix, emergence.
#include <cstdint>
#include <utility>

#include "proto/base/status_macros.h"
#include "server/answers/names.h"
#include "server/answers/tables.h"
#include "server/http/api.h"

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

// run, metric, and, where they are given, stage and domain.
template <typename Request>
void Select(Params& params, Request* request) {
  request->set_run(params.Required("run"));
  request->set_metric(params.Required("metric"));
  if (params.Has("stage")) request->set_stage(params.Text("stage", ""));
  const std::string domain = params.Text("domain", "");
  if (!domain.empty()) request->set_domain(domain);
}

absl::StatusOr<v1::SeriesSelector> SelectSeries(Params& params) {
  v1::SeriesSelector selector;
  ASSIGN_OR_RETURN(const v1::Aggregation aggregation,
                   answers::ParseAggregation(params.Text("agg", "each")));
  selector.set_aggregation(aggregation);
  selector.set_across_layers(params.Bool("across_layers"));
  selector.set_include_implausible(params.Bool("include_implausible"));
  for (int32_t layer : params.Ints("layer")) selector.add_layers(layer);
  for (int32_t head : params.Ints("head")) selector.add_heads(head);
  Select(params, &selector);
  RETURN_IF_ERROR(params.status());
  return selector;
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

}  // namespace

absl::StatusOr<Api::Answer> Api::Series(Params& params) const {
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
                   queries_->Series(request));
  Answer answer;
  std::string note;
  ASSIGN_OR_RETURN(answer.table, answers::SeriesTable(series, layout, &note));
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

absl::StatusOr<Api::Answer> Api::Matrix(Params& params) const {
  v1::QueryMatrixRequest request;
  const int64_t step = params.Int("step", -1, 0, INT64_MAX);
  const bool errors = params.Bool("stderr");
  Select(params, &request);
  RETURN_IF_ERROR(params.status());
  if (step >= 0) request.set_step(step);
  ASSIGN_OR_RETURN(const v1::QueryMatrixResponse matrix,
                   queries_->Matrix(request));
  Answer answer;
  answer.table = answers::MatrixTable(matrix, errors);
  answer.extras = {{"step", matrix.step()},
                   {"metric", MetricJson(matrix.metric())},
                   {"stage", matrix.stage()},
                   {"domain", matrix.domain()},
                   {"implausible", matrix.implausible()}};
  return answer;
}

absl::StatusOr<Api::Answer> Api::Emergence(Params& params) const {
  v1::GetEmergenceRequest request;
  if (!params.Text("threshold", "").empty()) {
    request.set_threshold(params.Number("threshold", 0));
  }
  if (!params.Text("below", "").empty())
    request.set_below(params.Bool("below"));
  request.set_consecutive(params.Int("consecutive", 0, 0, 1000));
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(params));
  ASSIGN_OR_RETURN(const v1::GetEmergenceResponse result,
                   queries_->Emergence(request));
  Answer answer;
  answer.table = answers::EmergenceTable(result);
  answer.extras = {{"metric", MetricJson(result.metric())},
                   {"stage", result.stage()},
                   {"domain", result.domain()},
                   {"threshold", result.threshold()},
                   {"below", result.below()},
                   {"consecutive", result.consecutive()}};
  return answer;
}

}  // namespace sinkwatch::http

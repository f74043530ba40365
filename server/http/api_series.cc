// The endpoints that answer with values: series, matrix, emergence.
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/answers/parse.h"
#include "server/http/api.h"
#include "server/names.h"
#include "server/query/query.h"
#include "server/query/series_pages.h"

namespace sinkwatch::http {
namespace {

constexpr int64_t kPageRows = 1000;
constexpr int64_t kColumns = 50;
constexpr int64_t kMaxColumns = 4096;
constexpr int64_t kRows = 2000;
constexpr int64_t kMaxRows = 100'000;
constexpr int64_t kMaxCells = 1'000'000;
constexpr int64_t kMaxGaps = 1000;

std::string MetricJson(const v1::MetricDescriptor& metric) {
  return absl::StrCat(
      "{\"name\":", answers::JsonString(metric.name()),
      ",\"unit\":", answers::JsonString(metric.unit()),
      ",\"scope\":", answers::JsonString(answers::ScopeName(metric.scope())),
      ",\"meaning\":", answers::JsonString(metric.meaning()),
      ",\"formula\":", answers::JsonString(metric.formula()),
      ",\"source\":", answers::JsonString(metric.source()), "}");
}

// What is asked for, or the only choice.
absl::StatusOr<std::string> Choose(
    const Params& params, const std::string& name,
    const answers::Repeated<std::string>& choices) {
  if (params.Has(name)) return params.Text(name, "");
  return answers::OnlyOf(choices, absl::StrCat("\"", name, "\""));
}

absl::Status CheckSize(int64_t size, int64_t cap, const char* what,
                       const char* cap_name, int64_t highest) {
  if (size <= cap) return absl::OkStatus();
  return answers::BadParameter(
      cap_name,
      absl::StrCat(size, " ", what, " are above ", cap_name, "=", cap,
                   ": select layer= and head=, aggregate with agg=, or ask "
                   "for ",
                   cap_name, "= up to ", highest));
}

}  // namespace

absl::StatusOr<v1::SeriesSelector> Api::Select(Params& params) const {
  v1::SeriesSelector selector;
  selector.set_run(params.Required("run"));
  selector.set_metric(params.Required("metric"));
  if (!params.status().ok()) return params.status();
  absl::StatusOr<v1::RunStatus> run = FindRun(selector.run());
  if (!run.ok()) return run.status();
  auto stage = Choose(params, "stage", run->stages());
  if (!stage.ok()) return stage.status();
  auto domain = Choose(params, "domain", run->domains());
  if (!domain.ok()) return domain.status();
  selector.set_stage(*std::move(stage));
  selector.set_domain(*std::move(domain));
  return selector;
}

absl::StatusOr<v1::SeriesSelector> Api::SelectSeries(Params& params) const {
  absl::StatusOr<v1::Aggregation> aggregation =
      answers::ParseAggregation(params.Text("agg", "each"));
  if (!aggregation.ok()) return aggregation.status();
  const std::vector<int32_t> layers = params.Ints("layer");
  const std::vector<int32_t> heads = params.Ints("head");
  const bool implausible = params.Bool("include_implausible");
  absl::StatusOr<v1::SeriesSelector> selector = Select(params);
  if (!selector.ok()) return selector;
  selector->set_aggregation(*aggregation);
  selector->mutable_layers()->Add(layers.begin(), layers.end());
  selector->mutable_heads()->Add(heads.begin(), heads.end());
  selector->set_include_implausible(implausible);
  return selector;
}

absl::StatusOr<v1::QuerySeriesResponse> Api::WholeSeries(
    const v1::SeriesSelector& selector, int64_t max_columns,
    int64_t max_rows) const {
  v1::QuerySeriesRequest first;
  *first.mutable_selector() = selector;
  first.set_page_size(kPageRows);
  const auto check_size = [&](int64_t columns, int64_t rows) {
    absl::Status status =
        CheckSize(columns, max_columns, "columns", "max_columns", kMaxColumns);
    if (status.ok()) {
      status = CheckSize(rows, max_rows, "rows", "max_rows", kMaxRows);
    }
    if (status.ok()) {
      status =
          CheckSize(rows * columns, kMaxCells, "cells", "max_cells", kMaxCells);
    }
    return status;
  };
  return query::JoinPages(
      std::move(first),
      [this](const v1::QuerySeriesRequest& page) {
        return query::QuerySeries(*store_, page);
      },
      check_size);
}

absl::StatusOr<Api::Answer> Api::Series(Params& params) const {
  const std::string x = params.Choice("x", {"step", "tokens", "log10_step"});
  const int64_t max_columns =
      params.Int("max_columns", kColumns, 1, kMaxColumns);
  const int64_t max_rows = params.Int("max_rows", kRows, 1, kMaxRows);
  absl::StatusOr<v1::SeriesSelector> selector = SelectSeries(params);
  if (!selector.ok()) return selector.status();

  absl::StatusOr<v1::QuerySeriesResponse> all =
      WholeSeries(*selector, max_columns, max_rows);
  if (!all.ok()) return all.status();
  std::string note;
  absl::StatusOr<answers::Table> table = answers::SeriesTable(*all, x, &note);
  if (!table.ok()) return table.status();
  absl::StatusOr<std::string> gaps = Gaps(*selector, *all);
  if (!gaps.ok()) return gaps.status();
  Answer answer;
  answer.table = *std::move(table);
  answer.extras = {{"x", answers::JsonString(x)},
                   {"metric", MetricJson(all->metric())},
                   {"stage", answers::JsonString(selector->stage())},
                   {"domain", answers::JsonString(selector->domain())},
                   {"gaps", *std::move(gaps)}};
  if (!note.empty())
    answer.extras.emplace_back("note", answers::JsonString(note));
  return answer;
}

absl::StatusOr<std::string> Api::Gaps(
    const v1::SeriesSelector& selector,
    const v1::QuerySeriesResponse& rows) const {
  std::set<int64_t> known;
  for (const v1::SeriesRow& row : rows.rows()) known.insert(row.step());
  v1::ListCheckpointsRequest request;
  request.set_run(selector.run());
  request.set_stage(selector.stage());
  request.set_page_size(kPageRows);
  std::vector<std::string> gaps;
  do {
    auto page = store_->ListCheckpoints(request);
    if (!page.ok()) return page.status();
    for (const v1::CheckpointStatus& c : page->checkpoints()) {
      if (known.count(c.checkpoint().step()) > 0) continue;
      gaps.push_back(absl::StrCat(
          "{\"step\":", c.checkpoint().step(),
          ",\"state\":", answers::JsonString(server::StateName(c.state())),
          ",\"reason\":", answers::JsonString(c.reason()), "}"));
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() &&
           static_cast<int64_t>(gaps.size()) < kMaxGaps);
  return absl::StrCat("[", absl::StrJoin(gaps, ","), "]");
}

absl::StatusOr<Api::Answer> Api::Matrix(Params& params) const {
  const int64_t step = params.Int("step", -1, 0, INT64_MAX);
  absl::StatusOr<v1::SeriesSelector> selector = Select(params);
  if (!selector.ok()) return selector.status();
  v1::QueryMatrixRequest request;
  request.set_run(selector->run());
  request.set_stage(selector->stage());
  request.set_metric(selector->metric());
  request.set_domain(selector->domain());
  if (step >= 0) request.set_step(step);
  absl::StatusOr<v1::QueryMatrixResponse> matrix = store_->QueryMatrix(request);
  if (!matrix.ok()) return matrix.status();

  Answer answer;
  answer.table = answers::MatrixTable(*matrix);
  answer.extras = {{"step", absl::StrCat(matrix->step())},
                   {"metric", MetricJson(matrix->metric())},
                   {"stage", answers::JsonString(selector->stage())},
                   {"domain", answers::JsonString(selector->domain())}};
  return answer;
}

absl::StatusOr<Api::Answer> Api::Emergence(Params& params) const {
  v1::GetEmergenceRequest request;
  params.Required("threshold");
  request.set_threshold(params.Number("threshold", 0));
  request.set_below(params.Bool("below"));
  request.set_consecutive(params.Int("consecutive", 0, 0, 1000));
  absl::StatusOr<v1::SeriesSelector> selector = SelectSeries(params);
  if (!selector.ok()) return selector.status();
  *request.mutable_selector() = *selector;
  absl::StatusOr<v1::GetEmergenceResponse> result =
      query::GetEmergence(*store_, request);
  if (!result.ok()) return result.status();

  Answer answer;
  answer.table = answers::EmergenceTable(*result);
  answer.extras = {{"metric", MetricJson(result->metric())},
                   {"stage", answers::JsonString(selector->stage())},
                   {"domain", answers::JsonString(selector->domain())}};
  return answer;
}

}  // namespace sinkwatch::http

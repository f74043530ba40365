// The methods of Analyses about series: jumps and fits.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/analytics/curve_fit.h"
#include "server/analytics/emergence.h"
#include "server/analytics/jumps.h"
#include "server/analytics/order_statistics.h"
#include "server/answers/parse.h"
#include "server/query/analyses.h"
#include "server/query/columns.h"
#include "server/query/jump_intervals.h"
#include "server/query/name_list.h"
#include "server/query/run_series.h"

namespace sinkwatch::query {
namespace {

// The selector's runs, each in each of the domains that are meant.
absl::StatusOr<std::vector<v1::SeriesSelector>> EachRunAndDomain(
    Queries& queries, const v1::SeriesSelector& selector) {
  std::vector<std::string> runs = {selector.run()};
  runs.insert(runs.end(), selector.more_runs().begin(),
              selector.more_runs().end());
  RETURN_IF_ERROR(CheckNameList("runs", runs));
  std::vector<v1::SeriesSelector> all;
  for (const std::string& name : runs) {
    ASSIGN_OR_RETURN(const v1::RunStatus run, queries.Run(name));
    std::vector<std::string> domains = {selector.domain()};
    if (!selector.has_domain()) domains = DefaultDomains(run);
    for (const std::string& domain : domains) {
      v1::SeriesSelector& one = all.emplace_back(selector);
      one.clear_more_runs();
      one.set_run(name);
      one.set_domain(domain);
    }
  }
  if (!all.empty()) return all;
  return absl::FailedPreconditionError(
      absl::StrCat("run \"", selector.run(), "\" has no measurements yet"));
}

// Adds the notes of a run's stage on how it was measured, unless they are
// there.
template <typename Response>
absl::Status NoteOnce(Queries& queries, const std::string& run,
                      const std::string& stage, Response& response) {
  ASSIGN_OR_RETURN(const auto notes, queries.MeasuringNotes(run, stage));
  for (const std::string& note : notes) {
    const auto& there = response.notes();
    if (std::count(there.begin(), there.end(), note) > 0) continue;
    response.add_notes(note);
  }
  return absl::OkStatus();
}

// What is stored of one run and domain, but for steps whose weights are those
// of another step, unless they are asked for; says so.
template <typename Response>
absl::StatusOr<Queries::StoredSeries> Read(Queries& queries,
                                           const v1::SeriesSelector& selector,
                                           Response& response) {
  ASSIGN_OR_RETURN(auto stored, queries.Stored(selector));
  RETURN_IF_ERROR(NoteOnce(queries, selector.run(), stored.stage, response));
  if (selector.include_same_weights()) return stored;
  ASSIGN_OR_RETURN(const std::vector<int64_t> same,
                   queries.StepsOfSameWeights(selector.run(), stored.stage));
  const size_t all = stored.series.steps.size();
  DropSteps(same, stored.series);
  const size_t left_out = all - stored.series.steps.size();
  if (left_out == 0) return stored;
  response.add_notes(absl::StrCat(
      "run ", selector.run(), ", ", selector.domain(), ": ", left_out,
      " steps with the same weights as another step are left out: which of "
      "them is right is not known"));
  return stored;
}

void Place(const v1::SeriesSelector& selector, v1::SeriesKey& key) {
  key.set_run(selector.run());
  key.set_domain(selector.domain());
}

absl::Status CheckEach(const v1::SeriesSelector& selector) {
  if (selector.aggregation() == v1::AGGREGATION_UNSPECIFIED ||
      selector.aggregation() == v1::AGGREGATION_EACH) {
    return absl::OkStatus();
  }
  return answers::BadParameter("unknown_value",
                               "jumps are looked for in each series: no other "
                               "aggregation has standard errors");
}

// Of so many series, those of which nothing, or too little, is known.
struct Lack {
  int unmeasured, few, all;
};

void NoteLack(const v1::SeriesSelector& selector, const Lack& lack,
              v1::FindJumpsResponse& response) {
  const std::string where =
      absl::StrCat("run ", selector.run(), ", ", selector.domain(), ": ");
  if (lack.unmeasured > 0) {
    response.add_notes(absl::StrCat(where, lack.unmeasured, " of ", lack.all,
                                    " series were not measured"));
  }
  if (lack.few > 0) {
    response.add_notes(absl::StrCat(
        where, lack.few, " of ", lack.all, " series have fewer than ",
        analytics::kFewestForJumps, " checkpoints, too few to tell a jump"));
  }
}

void AddJumps(const v1::SeriesSelector& selector, const store::Series& series,
              const analytics::JumpRule& rule,
              v1::FindJumpsResponse& response) {
  StepTokens tokens;
  tokens.Add(series);
  std::vector<v1::Jump> found;
  int unmeasured = 0, few = 0;
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const auto points = PointsOf(series, c);
    unmeasured += points.empty();
    few += !points.empty() && points.size() < analytics::kFewestForJumps;
    for (v1::Jump& jump : analytics::FindJumps(points, rule)) {
      *jump.mutable_key() = KeyOf(series.columns[c], series.metric);
      Place(selector, *jump.mutable_key());
      TellTokens(tokens, jump);
      found.push_back(std::move(jump));
    }
  }
  const int all = static_cast<int>(series.columns.size());
  for (v1::JumpInterval& interval : IntervalsOf(found, all - unmeasured)) {
    TellTokens(tokens, interval);
    *response.add_intervals() = interval;
  }
  response.mutable_jumps()->Add(found.begin(), found.end());
  NoteLack(selector, {unmeasured, few, all}, response);
}

// Where a fit begins: at the step that is asked for, else where the series has
// emerged.
int64_t FirstStepOf(const v1::FitSeriesRequest& request,
                    const std::vector<analytics::SeriesPoint>& points,
                    const v1::MetricDescriptor& metric) {
  if (request.has_first_step()) return request.first_step();
  if (!metric.has_threshold()) return 0;
  analytics::EmergenceRule rule;
  rule.threshold = metric.threshold();
  rule.below = metric.below();
  const v1::Emergence found = analytics::FindEmergence(points, rule);
  const bool sure =
      found.censoring() == v1::CENSORING_NONE && !found.provisional();
  return sure ? found.by_step() : 0;
}

std::vector<analytics::SeriesPoint> Between(
    const std::vector<analytics::SeriesPoint>& points, int64_t first,
    int64_t last) {
  std::vector<analytics::SeriesPoint> some;
  for (const analytics::SeriesPoint& point : points) {
    if (point.step >= first && point.step <= last) some.push_back(point);
  }
  return some;
}

std::vector<analytics::SeriesPoint> ColumnPoints(
    const std::vector<int64_t>& steps, const analytics::Matrix& values,
    size_t column) {
  std::vector<analytics::SeriesPoint> points;
  for (size_t row = 0; row < values.rows(); ++row) {
    const float value = values.values[row * values.columns + column];
    if (std::isfinite(value)) points.push_back({steps[row], value});
  }
  return points;
}

}  // namespace

absl::StatusOr<v1::FindJumpsResponse> Analyses::Jumps(
    const v1::FindJumpsRequest& request) {
  v1::FindJumpsResponse response;
  response.set_revision(queries_->revision());
  RETURN_IF_ERROR(CheckEach(request.selector()));
  analytics::JumpRule rule;
  if (!(request.min_score() >= 0)) {
    return answers::BadParameter("out_of_range",
                                 "min_score is a number above 0; 0: 6");
  }
  if (request.min_score() > 0) rule.min_score = request.min_score();
  ASSIGN_OR_RETURN(const auto selectors,
                   EachRunAndDomain(*queries_, request.selector()));
  for (const v1::SeriesSelector& selector : selectors) {
    ASSIGN_OR_RETURN(const auto stored, Read(*queries_, selector, response));
    AddJumps(selector, stored.series, rule, response);
    *response.mutable_metric() = stored.series.metric;
    response.set_stage(stored.stage);
  }
  std::stable_sort(response.mutable_jumps()->begin(),
                   response.mutable_jumps()->end(),
                   [](const v1::Jump& a, const v1::Jump& b) {
                     return a.score() > b.score();
                   });
  std::stable_sort(response.mutable_intervals()->begin(),
                   response.mutable_intervals()->end(), ComesFirst);
  response.set_min_score(rule.min_score);
  return response;
}

absl::StatusOr<v1::FitSeriesResponse> Analyses::Fits(
    const v1::FitSeriesRequest& request) {
  v1::FitSeriesResponse response;
  response.set_revision(queries_->revision());
  ASSIGN_OR_RETURN(const auto selectors,
                   EachRunAndDomain(*queries_, request.selector()));
  const int64_t last =
      request.has_last_step() ? request.last_step() : INT64_MAX;
  int too_few = 0;
  for (const v1::SeriesSelector& selector : selectors) {
    ASSIGN_OR_RETURN(auto stored, Read(*queries_, selector, response));
    const SelectedColumns selected = SelectColumns(stored.series, selector);
    for (size_t c = 0; c < selected.keys.size(); ++c) {
      const auto points = ColumnPoints(stored.series.steps, selected.values, c);
      const int64_t first = FirstStepOf(request, points, stored.series.metric);
      v1::SeriesFit& fit = *response.add_fits();
      fit = analytics::FitCurves(Between(points, first, last));
      *fit.mutable_key() = selected.keys[c];
      Place(selector, *fit.mutable_key());
      too_few += fit.fits().empty();
    }
    *response.mutable_metric() = stored.series.metric;
    response.set_stage(stored.stage);
  }
  if (too_few > 0) {
    response.add_notes(absl::StrCat(
        too_few, " of ", response.fits_size(),
        " series have fewer than 3 checkpoints there, too few for a fit"));
  }
  return response;
}

}  // namespace sinkwatch::query

// Queries::Emergence: from when on series stay beyond a threshold.
#include "server/analytics/emergence.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/analytics/rise.h"
#include "server/answers/parse.h"
#include "server/query/queries.h"

namespace sinkwatch::query {
namespace {

constexpr int kDefaultConsecutive = 2;

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

}  // namespace

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
  ASSIGN_OR_RETURN(const auto notes, MeasuringNotes(gathered));
  for (const std::string& note : notes) response.add_notes(note);
  *response.mutable_metric() = series.metric;
  response.set_stage(place.stage);
  response.set_domain(place.domain);
  response.set_threshold(rule.threshold);
  response.set_below(rule.below);
  response.set_consecutive(rule.consecutive);
  return response;
}

}  // namespace sinkwatch::query

#include "server/query/references.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/base/nearest.h"
#include "proto/base/status_macros.h"
#include "server/analytics/head_aggregation.h"
#include "server/answers/parse.h"

namespace sinkwatch::query {
namespace {

constexpr double kDefaultRelative = .05;
// Counts of tokens in names are rounded.
constexpr double kTokensApart = .01;

// The row of the step that a point stands at.
std::optional<size_t> RowOf(const store::Series& series,
                            const v1::ReferencePoint& point) {
  const std::vector<int64_t>& steps = series.steps;
  if (steps.empty()) return std::nullopt;
  if (point.has_step()) {
    const auto at = std::find(steps.begin(), steps.end(), point.step());
    if (at == steps.end()) return std::nullopt;
    return at - steps.begin();
  }
  if (!point.has_tokens()) return steps.size() - 1;
  // Tokens that are not known are those of no point.
  const auto away = [&](int64_t tokens) {
    if (tokens == 0 && point.tokens() > 0) return HUGE_VAL;
    return std::abs(static_cast<double>(tokens - point.tokens()));
  };
  const auto nearest =
      std::min_element(series.tokens.begin(), series.tokens.end(),
                       [&](int64_t a, int64_t b) { return away(a) < away(b); });
  if (away(*nearest) > kTokensApart * static_cast<double>(point.tokens())) {
    return std::nullopt;
  }
  return nearest - series.tokens.begin();
}

bool IsMeant(const store::SeriesColumn& column,
             const v1::ReferencePoint& point) {
  if (point.has_layer() && column.first != point.layer()) return false;
  return !point.has_head() || column.second == point.head();
}

// The columns that the point means as one number; NaN if there is none.
double ValueOf(const store::Series& series, size_t row,
               const v1::ReferencePoint& point) {
  std::vector<float> values;
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const float value = series.value(row, c);
    if (!IsMeant(series.columns[c], point) || !std::isfinite(value)) continue;
    values.push_back(value);
  }
  const bool said = point.over() != v1::AGGREGATION_UNSPECIFIED;
  return analytics::AggregateHeads(std::move(values),
                                   said ? point.over() : v1::AGGREGATION_MEAN);
}

v1::ReferenceCheck CheckPoint(const v1::ReferencePoint& point,
                              const store::Series& series, double relative,
                              double absolute) {
  v1::ReferenceCheck check;
  *check.mutable_point() = point;
  check.set_verdict(v1::REFERENCE_VERDICT_ABSENT);
  const std::optional<size_t> row = RowOf(series, point);
  if (!row.has_value()) {
    check.set_reason(point.has_step()
                         ? absl::StrCat("no value at step ", point.step())
                         : "no value at that many tokens");
    return check;
  }
  check.set_step(series.steps[*row]);
  const double value = ValueOf(series, *row, point);
  if (std::isnan(value)) {
    check.set_reason("no value of that layer and head");
    return check;
  }
  check.set_value(value);
  const double most = absolute + relative * std::abs(point.value());
  check.set_verdict(std::abs(value - point.value()) <= most
                        ? v1::REFERENCE_VERDICT_PASS
                        : v1::REFERENCE_VERDICT_FAIL);
  return check;
}

v1::SeriesSelector SelectorOf(const v1::CheckReferencesRequest& request,
                              const std::string& metric) {
  v1::SeriesSelector selector;
  selector.set_run(request.run());
  if (request.has_stage()) selector.set_stage(request.stage());
  if (request.has_domain()) selector.set_domain(request.domain());
  selector.set_metric(metric);
  return selector;
}

absl::Status CheckTolerance(const v1::CheckReferencesRequest& request) {
  if (request.relative() >= 0 && request.absolute() >= 0 &&
      std::isfinite(request.relative()) && std::isfinite(request.absolute())) {
    return absl::OkStatus();
  }
  return answers::BadParameter("out_of_range",
                               "a tolerance is a finite number, 0 or above");
}

}  // namespace

absl::StatusOr<v1::AddReferenceResponse> References::Add(
    const v1::AddReferenceRequest& request) {
  v1::AddReferenceResponse response;
  ASSIGN_OR_RETURN(const int64_t points,
                   shelf_->Add(request.name(), request.csv()));
  response.set_points(points);
  return response;
}

absl::StatusOr<v1::RemoveReferenceResponse> References::Remove(
    const v1::RemoveReferenceRequest& request) {
  RETURN_IF_ERROR(shelf_->Remove(request.name()));
  return v1::RemoveReferenceResponse();
}

absl::StatusOr<v1::ListReferencesResponse> References::List(
    const v1::ListReferencesRequest& request) {
  v1::ListReferencesResponse response;
  response.set_revision(queries_->revision());
  ASSIGN_OR_RETURN(
      const auto points,
      shelf_->Points(request.reference(), request.model(), request.metric()));
  *response.mutable_points() = {points.begin(), points.end()};
  return response;
}

absl::StatusOr<v1::CheckReferencesResponse> References::Check(
    const v1::CheckReferencesRequest& request) {
  v1::CheckReferencesResponse response;
  response.set_revision(queries_->revision());
  RETURN_IF_ERROR(CheckTolerance(request));
  const bool given = request.relative() > 0 || request.absolute() > 0;
  response.set_relative(given ? request.relative() : kDefaultRelative);
  response.set_absolute(request.absolute());
  ASSIGN_OR_RETURN(
      const auto points,
      shelf_->Points(request.reference(), request.model(), request.metric()));
  RETURN_IF_ERROR(queries_->Run(request.run()).status());
  v1::ListMetricsRequest of_run;
  of_run.set_run(request.run());
  of_run.set_page_size(store::kMaxPage);
  ASSIGN_OR_RETURN(const auto known, queries_->Metrics(of_run));
  std::vector<std::string> names;
  std::map<std::string, store::Series> series;
  for (const v1::MetricDescriptor& metric : known.metrics()) {
    names.push_back(metric.name());
    const bool asked = std::any_of(points.begin(), points.end(),
                                   [&](const v1::ReferencePoint& point) {
                                     return point.metric() == metric.name();
                                   });
    if (!asked) continue;
    ASSIGN_OR_RETURN(auto stored,
                     queries_->Stored(SelectorOf(request, metric.name())));
    response.set_domain(stored.domain);
    series[metric.name()] = std::move(stored.series);
  }
  for (const v1::ReferencePoint& point : points) {
    v1::ReferenceCheck& check = *response.add_checks();
    if (series.count(point.metric()) == 0) {
      *check.mutable_point() = point;
      check.set_verdict(v1::REFERENCE_VERDICT_ABSENT);
      check.set_reason(absl::StrCat("the run has no such metric",
                                    base::DidYouMean(point.metric(), names)));
      continue;
    }
    check = CheckPoint(point, series[point.metric()], response.relative(),
                       response.absolute());
    response.set_passed(response.passed() +
                        (check.verdict() == v1::REFERENCE_VERDICT_PASS));
    response.set_failed(response.failed() +
                        (check.verdict() == v1::REFERENCE_VERDICT_FAIL));
  }
  return response;
}

}  // namespace sinkwatch::query

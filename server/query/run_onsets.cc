#include "server/query/run_onsets.h"

#include <algorithm>
#include <tuple>

#include "proto/base/status_macros.h"
#include "server/analytics/emergence.h"
#include "server/analytics/rise.h"
#include "server/query/columns.h"

namespace sinkwatch::query {
namespace {

RunOnset OnsetOf(const v1::MetricDescriptor& metric, const std::string& domain,
                 const store::Series& series, const StepTokens& tokens) {
  analytics::EmergenceRule rule;
  rule.threshold = metric.threshold();
  rule.below = metric.below();
  RunOnset onset;
  onset.metric = &metric;
  onset.domain = domain;
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const auto points = PointsOf(series, c);
    onset.unmeasured += points.empty();  // of a sparse metric
    if (points.empty()) continue;
    v1::Emergence& found =
        onset.each.emplace_back(analytics::FindEmergence(points, rule));
    *found.mutable_key() = KeyOf(series.columns[c], metric);
    TellTokens(tokens, found);
    if (!analytics::HasEmerged(found)) continue;
    onset.emerged.push_back(c);
    onset.reversed += found.has_reversal_step();
  }
  onset.typical = TypicalOf(onset.each);
  if (!onset.emerged.empty()) {
    onset.rise =
        analytics::FindRise(MedianCurve(series, onset.emerged), metric.below());
  }
  return onset;
}

// Of those that did not emerge, that which was looked at for longest.
v1::Emergence LastOf(const std::vector<v1::Emergence>& emergences) {
  v1::Emergence last;
  last.set_censoring(v1::CENSORING_UNMEASURED);
  for (const v1::Emergence& e : emergences) {
    const bool none = last.censoring() == v1::CENSORING_UNMEASURED;
    if (none || e.after_step() > last.after_step()) last = e;
  }
  last.clear_key();
  return last;
}

}  // namespace

v1::Emergence TypicalOf(const std::vector<v1::Emergence>& emergences) {
  std::vector<const v1::Emergence*> emerged;
  for (const v1::Emergence& e : emergences) {
    if (analytics::HasEmerged(e)) emerged.push_back(&e);
  }
  if (emerged.empty()) return LastOf(emergences);
  const auto middle = emerged.begin() + (emerged.size() - 1) / 2;
  std::nth_element(emerged.begin(), middle, emerged.end(),
                   [](const v1::Emergence* a, const v1::Emergence* b) {
                     return std::make_tuple(a->by_step(), a->estimate()) <
                            std::make_tuple(b->by_step(), b->estimate());
                   });
  return **middle;
}

absl::StatusOr<std::vector<RunOnset>> OnsetsOf(RunSeries& run) {
  std::vector<RunOnset> onsets;
  for (const v1::MetricDescriptor& metric : run.metrics()) {
    if (!metric.has_threshold()) continue;
    for (const std::string& domain : run.domains()) {
      ASSIGN_OR_RETURN(const auto series, run.Read(metric.name(), domain));
      if (series->columns.empty()) continue;
      onsets.push_back(OnsetOf(metric, domain, *series, run.tokens()));
    }
  }
  return onsets;
}

const RunOnset* FindOnset(const std::vector<RunOnset>& onsets,
                          const v1::MetricDescriptor* metric,
                          const std::string& domain) {
  if (metric == nullptr) return nullptr;
  for (const RunOnset& onset : onsets) {
    if (onset.metric->name() == metric->name() && onset.domain == domain) {
      return &onset;
    }
  }
  return nullptr;
}

}  // namespace sinkwatch::query

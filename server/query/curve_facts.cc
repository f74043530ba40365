// Facts about curves: jumps, fits, the loss.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proto/base/status_macros.h"
#include "server/analytics/correlation.h"
#include "server/analytics/curve_fit.h"
#include "server/analytics/emergence.h"
#include "server/analytics/jumps.h"
#include "server/analytics/lead_lag.h"
#include "server/answers/names.h"
#include "server/query/columns.h"
#include "server/query/facts.h"
#include "server/query/jump_intervals.h"

namespace sinkwatch::query {
namespace {

using Points = std::vector<analytics::SeriesPoint>;

// Intervals that are told of one metric in one domain.
constexpr size_t kMaxIntervals = 3;
// Times its noise that a jump is told by.
constexpr double kMostTimes = 1000;
// Of heads, the share that jumps together where it is told.
constexpr double kShareOfHeads = .05;

bool IsOfHeads(const v1::MetricDescriptor& metric) {
  return metric.scope() == v1::SCOPE_HEAD ||
         metric.scope() == v1::SCOPE_KV_HEAD;
}

// "up to 12.3 times"; of what stood still before, no such number says more than
// that it is large.
std::string TimesText(double score) {
  return score < kMostTimes ? absl::StrFormat("up to %.3g times", score)
                            : "more than 1,000 times";
}

v1::Fact JumpFact(const RunSeries& run, const v1::MetricDescriptor& metric,
                  const v1::JumpInterval& interval) {
  v1::Fact fact = FactOf("jump", run, metric.name(), interval.domain());
  fact.set_count(interval.series());
  fact.set_of(interval.of());
  fact.set_value(interval.median_change());
  fact.set_high(interval.max_score());
  fact.set_after_step(interval.after_step());
  fact.set_by_step(interval.by_step());
  fact.set_verdict(interval.median_change() > 0 ? "up" : "down");
  std::string who = metric.name();
  if (interval.of() > 1) {
    absl::StrAppend(&who, " of ", interval.series(), " of ", interval.of(),
                    IsOfHeads(metric) ? " heads" : " layers");
  }
  fact.set_text(absl::StrFormat(
      "%s in %s jumped by %+.4g in (%d, %d]%s, %s its noise", who,
      interval.domain(), interval.median_change(), interval.after_step(),
      interval.by_step(),
      run.tokens().TextBetween(interval.after_step(), interval.by_step()),
      TimesText(interval.max_score())));
  return fact;
}

void AddJumpsOf(const RunSeries& run, const v1::MetricDescriptor& metric,
                const std::string& domain, const store::Series& series,
                Facts& facts) {
  std::vector<v1::Jump> jumps;
  int of = 0;  // that were measured at all
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const Points points = PointsOf(series, c);
    of += !points.empty();
    for (v1::Jump& jump : analytics::FindJumps(points, {})) {
      if (jump.provisional()) continue;
      jump.mutable_key()->set_domain(domain);
      jumps.push_back(std::move(jump));
    }
  }
  std::vector<v1::JumpInterval> intervals = IntervalsOf(jumps, of);
  if (intervals.size() > kMaxIntervals) intervals.resize(kMaxIntervals);
  for (const v1::JumpInterval& interval : intervals) {
    if (IsOfHeads(metric) && interval.series() < kShareOfHeads * of) continue;
    facts.push_back(JumpFact(run, metric, interval));
  }
}

Points From(const Points& points, double first_step) {
  Points some;
  for (const analytics::SeriesPoint& point : points) {
    if (static_cast<double>(point.step) >= first_step) some.push_back(point);
  }
  return some;
}

// A fact of one parameter of one model, with 1.96 standard errors to each side.
v1::Fact FitFact(const RunSeries& run, const std::string& metric,
                 const std::string& domain, const v1::SeriesFit& all,
                 const v1::CurveFit& fit, double scale) {
  v1::Fact fact = FactOf("fit", run, metric, domain);
  const double error = 1.96 * fit.b_standard_error();
  fact.set_value(scale * fit.b());
  if (std::isfinite(error)) {
    fact.set_low(scale * (fit.b() - error));
    fact.set_high(scale * (fit.b() + error));
  }
  fact.set_count(all.points());
  fact.set_after_step(all.first_step());
  fact.set_by_step(all.last_step());
  fact.set_verdict(all.preferred() == v1::CURVE_MODEL_UNSPECIFIED
                       ? "unresolved"
                       : answers::CurveModelName(all.preferred()));
  return fact;
}

// "R2 0.998, 12 checkpoints in [100, 4000]"; a constant has no R2.
std::string FitText(const v1::SeriesFit& all, const v1::CurveFit& fit,
                    const char* of = "") {
  std::string text;
  if (std::isfinite(fit.r_squared())) {
    text = absl::StrFormat("R2 %.3f%s, ", fit.r_squared(), of);
  }
  absl::StrAppendFormat(&text, "%d checkpoints in [%d, %d]", all.points(),
                        all.first_step(), all.last_step());
  return text;
}

// The heads whose sinks emerged, and when. All from the start where that is not
// known.
struct SinkHeads {
  HeadPlaces places;
  double since = 0;
};

SinkHeads SinkHeadsOf(const RunSeries& run, const std::vector<RunOnset>& onsets,
                      const std::string& domain) {
  const RunOnset* onset =
      FindOnset(onsets, run.Playing(v1::METRIC_ROLE_SINK_MASS), domain);
  SinkHeads heads;
  if (onset == nullptr) return heads;
  for (const v1::Emergence& e : onset->each) {
    if (!analytics::HasEmerged(e)) continue;
    heads.places.emplace(e.key().layer(), e.key().head());
  }
  if (onset->typical.censoring() == v1::CENSORING_NONE &&
      !onset->typical.provisional()) {
    heads.since = static_cast<double>(onset->typical.by_step());
  }
  return heads;
}

// The median over the heads that are sinks; over all where the metric has no
// value of any of them.
absl::StatusOr<Points> SinkCurve(RunSeries& run,
                                 const v1::MetricDescriptor& metric,
                                 const std::string& domain,
                                 const SinkHeads& heads) {
  ASSIGN_OR_RETURN(const auto series, run.Read(metric.name(), domain));
  return MedianCurve(*series,
                     ColumnsOfHeads(*series, run.run().model(), heads.places));
}

absl::Status AddLogitFit(RunSeries& run, const std::string& domain,
                         const SinkHeads& heads, Facts& facts) {
  const auto* metric = run.Playing(v1::METRIC_ROLE_SINK_LOGIT);
  if (metric == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Points curve, SinkCurve(run, *metric, domain, heads));
  const v1::SeriesFit all = analytics::FitCurves(From(curve, heads.since));
  const v1::CurveFit* fit = analytics::FitOfModel(all, v1::CURVE_MODEL_LOG);
  if (fit == nullptr) return absl::OkStatus();
  v1::Fact fact = FitFact(run, metric->name(), domain, all, *fit, 1);
  fact.set_text(absl::StrFormat(
      "%s in %s grows by %.3g per ln(step) (%s; %s by AIC)", metric->name(),
      domain, fit->b(), FitText(all, *fit), fact.verdict()));
  facts.push_back(std::move(fact));
  return absl::OkStatus();
}

absl::Status AddDrainFit(RunSeries& run, const std::string& domain,
                         const SinkHeads& heads, Facts& facts) {
  const auto* metric = run.Playing(v1::METRIC_ROLE_VALUE_DRAIN);
  if (metric == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Points curve, SinkCurve(run, *metric, domain, heads));
  const v1::SeriesFit all = analytics::FitCurves(From(curve, heads.since));
  const v1::CurveFit* fit = analytics::FitOfModel(all, v1::CURVE_MODEL_POWER);
  if (fit == nullptr) return absl::OkStatus();
  v1::Fact fact = FitFact(run, metric->name(), domain, all, *fit, 1);
  fact.set_verdict("power");
  // Not as step^-0.000.
  const double exponent = std::abs(fit->b()) < .0005 ? 0 : fit->b();
  fact.set_text(absl::StrFormat("%s in %s goes as step^%.3f (%s)",
                                metric->name(), domain, exponent,
                                FitText(all, *fit, " of logarithms")));
  facts.push_back(std::move(fact));
  return absl::OkStatus();
}

// The column whose last value is the largest; as many as there are if there is
// no value.
size_t LargestAtEnd(const store::Series& series) {
  size_t largest = series.columns.size();
  double most = 0;
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const Points points = PointsOf(series, c);
    if (points.empty() ||
        (largest != series.columns.size() && points.back().value <= most)) {
      continue;
    }
    largest = c;
    most = points.back().value;
  }
  return largest;
}

// Of the layer whose norm is largest at the end.
absl::Status AddNormFit(RunSeries& run, const std::string& domain,
                        const SinkHeads& heads, Facts& facts) {
  const auto* metric = run.Playing(v1::METRIC_ROLE_RESIDUAL_NORM);
  if (metric == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto series, run.Read(metric->name(), domain));
  const size_t column = LargestAtEnd(*series);
  if (column == series->columns.size()) return absl::OkStatus();
  const Points largest = PointsOf(*series, column);
  const v1::SeriesKey key = KeyOf(series->columns[column], *metric);
  const v1::SeriesFit all = analytics::FitCurves(From(largest, heads.since));
  const v1::CurveFit* fit = analytics::FitOfModel(all, v1::CURVE_MODEL_LINEAR);
  if (fit == nullptr) return absl::OkStatus();
  v1::Fact fact = FitFact(run, metric->name(), domain, all, *fit, 1000);
  if (key.has_layer()) fact.set_layer(key.layer());
  fact.set_text(absl::StrFormat(
      "%s of %s in %s, the largest, grows by %.4g per 1,000 steps (%s; %s by "
      "AIC)",
      metric->name(), key.label(), domain, 1000 * fit->b(), FitText(all, *fit),
      fact.verdict()));
  facts.push_back(std::move(fact));
  return absl::OkStatus();
}

Points Logarithms(Points points) {
  points.erase(std::remove_if(points.begin(), points.end(),
                              [](const analytics::SeriesPoint& p) {
                                return !(p.value > 0);
                              }),
               points.end());
  for (analytics::SeriesPoint& point : points) {
    point.value = std::log(point.value);
  }
  return points;
}

// One of the signals that are said to reinforce each other.
struct Signal {
  std::string name;  // of its metric; "ln" before it where logarithms are taken
  std::string metric;
  Points curve;
};

// Sink logit, logarithm of the drain, logarithm of the residual peak: those
// that there are.
absl::StatusOr<std::vector<Signal>> SignalsOf(RunSeries& run,
                                              const std::string& domain,
                                              const SinkHeads& heads) {
  std::vector<Signal> signals;
  const auto* logit = run.Playing(v1::METRIC_ROLE_SINK_LOGIT);
  const auto* drain = run.Playing(v1::METRIC_ROLE_VALUE_DRAIN);
  const auto* peak = run.Playing(v1::METRIC_ROLE_RESIDUAL_PEAK);
  if (logit != nullptr) {
    ASSIGN_OR_RETURN(Points curve, SinkCurve(run, *logit, domain, heads));
    signals.push_back({logit->name(), logit->name(), std::move(curve)});
  }
  if (drain != nullptr) {
    ASSIGN_OR_RETURN(Points curve, SinkCurve(run, *drain, domain, heads));
    signals.push_back({absl::StrCat("ln ", drain->name()), drain->name(),
                       Logarithms(std::move(curve))});
  }
  if (peak != nullptr) {
    ASSIGN_OR_RETURN(const auto series, run.Read(peak->name(), domain));
    const size_t column = LargestAtEnd(*series);
    if (column == series->columns.size()) return signals;
    signals.push_back({absl::StrCat("ln ", peak->name()), peak->name(),
                       Logarithms(PointsOf(*series, column))});
  }
  return signals;
}

void AddCorrelation(const RunSeries& run, const std::string& domain,
                    const Signal& x, const Signal& y, int64_t since,
                    Facts& facts) {
  const analytics::Correlation found =
      analytics::Correlate(x.curve, y.curve, since);
  if (std::isnan(found.pearson)) return;
  v1::Fact fact = FactOf("correlation", run, x.metric, domain);
  fact.set_count(found.points);
  fact.set_value(found.pearson);
  fact.set_text(absl::StrFormat(
      "%s and %s in %s: Pearson %.3f, Spearman %.3f, of changes %s, over %d "
      "checkpoints; any two trends correlate, so this is no evidence of a "
      "mechanism",
      x.name, y.name, domain, found.pearson, found.spearman,
      std::isnan(found.pearson_of_changes)
          ? "not known"
          : absl::StrFormat("%.3f", found.pearson_of_changes),
      found.points));
  facts.push_back(std::move(fact));
}

// "changes 2 places (0.48 in ln(step)) before", "changes with".
std::string LagText(const analytics::LeadLag& found) {
  if (found.lag == 0) return "changes with";
  return absl::StrFormat("changes %.2f in ln(step) %s",
                         std::abs(found.log_steps),
                         found.lag > 0 ? "before" : "after");
}

void AddLeadLag(const RunSeries& run, const std::string& domain,
                const Signal& x, const Signal& y, int64_t since, Facts& facts) {
  const auto found = analytics::LeadLagOf(x.curve, y.curve, since);
  if (!found.has_value()) return;
  v1::Fact fact = FactOf("leadlag", run, x.metric, domain);
  fact.set_count(found->points);
  fact.set_value(found->log_steps);
  fact.set_verdict("descriptive");
  fact.set_text(absl::StrFormat(
      "%s %s %s in %s: the changes correlate most there, %.3f (p %.3f by "
      "blocks drawn anew, %d checkpoints); a lag is no cause",
      x.name, LagText(*found), y.name, domain, found->correlation, found->p,
      found->points));
  facts.push_back(std::move(fact));
}

absl::Status AddPairs(RunSeries& run, const std::string& domain,
                      const SinkHeads& heads, Facts& facts) {
  ASSIGN_OR_RETURN(const std::vector<Signal> signals,
                   SignalsOf(run, domain, heads));
  const auto since = static_cast<int64_t>(heads.since / 2);
  for (size_t i = 0; i < signals.size(); ++i) {
    for (size_t j = i + 1; j < signals.size(); ++j) {
      AddCorrelation(run, domain, signals[i], signals[j], since, facts);
      AddLeadLag(run, domain, signals[i], signals[j], since, facts);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddJumpFacts(RunSeries& run, bool with_heads, Facts& facts) {
  for (const v1::MetricDescriptor& metric : run.metrics()) {
    const bool is_told =
        with_heads && metric.headline() && metric.has_threshold();
    if (IsOfHeads(metric) && !is_told) continue;
    for (const std::string& domain : run.domains()) {
      ASSIGN_OR_RETURN(const auto series, run.Read(metric.name(), domain));
      AddJumpsOf(run, metric, domain, *series, facts);
    }
  }
  return absl::OkStatus();
}

absl::Status AddFitFacts(RunSeries& run, const std::vector<RunOnset>& onsets,
                         Facts& facts) {
  for (const std::string& domain : run.domains()) {
    const SinkHeads heads = SinkHeadsOf(run, onsets, domain);
    RETURN_IF_ERROR(AddLogitFit(run, domain, heads, facts));
    RETURN_IF_ERROR(AddNormFit(run, domain, heads, facts));
    RETURN_IF_ERROR(AddDrainFit(run, domain, heads, facts));
    RETURN_IF_ERROR(AddPairs(run, domain, heads, facts));
  }
  return absl::OkStatus();
}

absl::Status AddLossFacts(RunSeries& run, Facts& facts) {
  const auto* metric = run.Playing(v1::METRIC_ROLE_LOSS);
  if (metric == nullptr) return absl::OkStatus();
  for (const std::string& domain : run.domains()) {
    ASSIGN_OR_RETURN(const auto series, run.Read(metric->name(), domain));
    if (series->columns.empty()) continue;
    const Points points = PointsOf(*series, 0);
    if (points.empty()) continue;
    const auto least = std::min_element(
        points.begin(), points.end(),
        [](const auto& a, const auto& b) { return a.value < b.value; });
    v1::Fact fact = FactOf("loss", run, metric->name(), domain);
    fact.set_value(points.back().value);
    fact.set_low(least->value);
    fact.set_by_step(points.back().step);
    std::string text =
        absl::StrFormat("%s in %s is %.4f at step %d", metric->name(), domain,
                        points.back().value, points.back().step);
    if (least->step == points.back().step) {
      absl::StrAppend(&text, ", the least so far");
    } else {
      absl::StrAppendFormat(&text, "; the least was %.4f at step %d",
                            least->value, least->step);
    }
    fact.set_text(text);
    facts.push_back(std::move(fact));
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::query

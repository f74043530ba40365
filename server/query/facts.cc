// Facts about the run, its onsets and their order.
#include "server/query/facts.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "proto/base/status_macros.h"
#include "server/analytics/emergence.h"
#include "server/analytics/onset_order.h"
#include "server/answers/names.h"
#include "server/answers/token_text.h"

namespace sinkwatch::query {
namespace {

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

void SetInterval(const v1::Emergence& e, v1::Fact& fact) {
  const bool between = e.censoring() == v1::CENSORING_NONE;
  if (between || e.censoring() == v1::CENSORING_RIGHT) {
    fact.set_after_step(e.after_step());
  }
  if (analytics::HasEmerged(e)) fact.set_by_step(e.by_step());
  if (between) fact.set_value(e.estimate());
}

std::string VerdictOf(const v1::Emergence& e) {
  if (e.censoring() == v1::CENSORING_UNMEASURED) return "unmeasured";
  if (e.censoring() == v1::CENSORING_RIGHT) return "never";
  if (e.provisional()) return "provisional";
  return e.censoring() == v1::CENSORING_LEFT ? "from the start" : "emerged";
}

// "512 of 1024 heads".
std::string Members(const RunOnset& onset) {
  const std::string of =
      absl::StrCat(onset.emerged.size(), " of ", onset.each.size());
  const std::string plural = onset.each.size() == 1 ? "" : "s";
  switch (onset.metric->scope()) {
    case v1::SCOPE_HEAD:
      return of + " head" + plural;
    case v1::SCOPE_KV_HEAD:
      return of + " key/value head" + plural;
    default:
      break;
  }
  const bool has_embedding =
      std::any_of(onset.each.begin(), onset.each.end(),
                  [](const v1::Emergence& e) { return e.key().layer() < 0; });
  return of + " layer" + plural +
         (has_embedding ? ", the embedding among them" : "");
}

// "512 of 1024 heads, the median one in (1000, 1500]", "0 of 2 layers, at no
// step up to 800"; of what there is one of, the interval alone.
std::string WhoEmerged(const RunOnset& onset) {
  const std::string when = IntervalText(onset.typical);
  if (onset.each.empty()) return when;
  const bool emerged = !onset.emerged.empty();
  if (onset.metric->scope() == v1::SCOPE_MODEL) {
    return emerged ? absl::StrCat("emerged ", when) : when;
  }
  return absl::StrCat(Members(onset),
                      onset.emerged.size() > 1 ? ", the median one " : ", ",
                      when);
}

// "; 3 were not measured; 2 have one checkpoint, ...".
std::string LackText(const RunOnset& onset) {
  const auto single = std::count_if(
      onset.each.begin(), onset.each.end(),
      [](const v1::Emergence& e) { return e.checkpoints() == 1; });
  std::string text;
  if (onset.unmeasured > 0) {
    absl::StrAppend(&text, "; ", onset.unmeasured, " were not measured");
  }
  if (single > 0) {
    absl::StrAppend(&text, "; ", single,
                    " have one checkpoint, which is too few to tell");
  }
  return text;
}

v1::Fact OnsetFact(const RunSeries& run, const RunOnset& onset) {
  v1::Fact fact = FactOf("onset", run, onset.metric->name(), onset.domain);
  fact.set_count(onset.emerged.size());
  fact.set_of(onset.each.size());
  SetInterval(onset.typical, fact);
  fact.set_verdict(VerdictOf(onset.typical));
  fact.set_text(absl::StrCat(
      onset.metric->name(), onset.metric->below() ? " <= " : " >= ",
      Number(onset.metric->threshold()), " in ", onset.domain, ": ",
      WhoEmerged(onset), LackText(onset)));
  return fact;
}

v1::Fact RiseFact(const RunSeries& run, const RunOnset& onset) {
  const v1::Rise& rise = *onset.rise;
  v1::Fact fact = FactOf("rise", run, onset.metric->name(), onset.domain);
  fact.set_after_step(rise.after_step());
  fact.set_by_step(rise.by_step());
  fact.set_value(rise.width());
  fact.set_low(rise.width_low());
  fact.set_high(rise.width_high());
  fact.set_count(rise.inside());
  fact.set_verdict(answers::RiseShapeName(rise.shape()));
  fact.set_text(absl::StrFormat(
      "%s in %s goes from %.4g to %.4g%s, half of it in (%d, %d]%s; width %.2f "
      "(%.2f to %.2f) in ln(step), %s inside: %s",
      onset.metric->name(), onset.domain, rise.start(), rise.extreme(),
      onset.emerged.size() > 1 ? " (median of those that emerged)" : "",
      rise.after_step(), rise.by_step(),
      run.tokens().TextBetween(rise.after_step(), rise.by_step()), rise.width(),
      rise.width_low(), rise.width_high(), Counted(rise.inside(), "checkpoint"),
      fact.verdict()));
  return fact;
}

// How many fell back, when the median one did, and how many are still there.
v1::Fact ReversalFact(const RunSeries& run, const RunOnset& onset) {
  std::vector<int64_t> steps;
  int lost = 0;
  for (const v1::Emergence& e : onset.each) {
    if (!e.has_reversal_step()) continue;
    steps.push_back(e.reversal_step());
    lost += !e.has_holds_from_step();
  }
  const auto middle = steps.begin() + (steps.size() - 1) / 2;
  std::nth_element(steps.begin(), middle, steps.end());
  v1::Fact fact = FactOf("reversal", run, onset.metric->name(), onset.domain);
  fact.set_count(onset.reversed);
  fact.set_of(onset.emerged.size());
  fact.set_value(lost);
  fact.set_by_step(*middle);
  fact.set_text(absl::StrCat(
      onset.metric->name(), " in ", onset.domain, ": of ", onset.emerged.size(),
      " that emerged, ", onset.reversed,
      " fell back for two checkpoints or more, the median one at step ",
      *middle, run.tokens().TextAt(*middle), "; ",
      lost == 0 ? "all of them are back at the end"
                : absl::StrCat(lost, " of them are not back at the end")));
  return fact;
}

// The typical onset of each layer.
std::map<int, v1::Emergence> ByLayer(const RunOnset& onset) {
  std::map<int, std::vector<v1::Emergence>> layers;
  for (const v1::Emergence& e : onset.each) {
    layers[e.key().layer()].push_back(e);
  }
  std::map<int, v1::Emergence> typical;
  for (const auto& [layer, emergences] : layers) {
    typical[layer] = TypicalOf(emergences);
  }
  return typical;
}

// " (in 3 of these X has not emerged)".
std::string NotYet(const RunOnset& onset, int count) {
  if (count == 0) return "";
  return absl::StrCat(" (in ", count, " of these ", onset.metric->name(),
                      " has not emerged)");
}

v1::Fact OrderFact(const RunSeries& run, const RunOnset& first,
                   const RunOnset& second) {
  int earlier = 0, later = 0, unresolved = 0;
  int without_second = 0, without_first = 0;  // of these, did not emerge
  const auto others = ByLayer(second);
  for (const auto& [layer, emergence] : ByLayer(first)) {
    const auto other = others.find(layer);
    if (other == others.end()) continue;
    switch (analytics::OrderOf(emergence, other->second).order) {
      case analytics::Order::kEarlier:
        without_second += !analytics::HasEmerged(other->second);
        ++earlier;
        break;
      case analytics::Order::kLater:
        without_first += !analytics::HasEmerged(emergence);
        ++later;
        break;
      case analytics::Order::kUnresolved:
        ++unresolved;
    }
  }
  const int all = earlier + later + unresolved;
  v1::Fact fact = FactOf("order", run, first.metric->name(), first.domain);
  fact.set_count(std::max(earlier, later));
  fact.set_of(all);
  fact.set_verdict(2 * earlier > all ? "earlier"
                   : 2 * later > all ? "later"
                                     : "unresolved");
  fact.set_text(absl::StrCat(
      first.metric->name(), " came before ", second.metric->name(), " in ",
      earlier, " of ", Counted(all, "layer"), NotYet(second, without_second),
      ", after it in ", later, NotYet(first, without_first), ", unresolved in ",
      unresolved, " (", first.domain, ")"));
  return fact;
}

// " (4.194 B to 6.291 B tokens)"; empty where they are not known.
std::string TokensOf(const v1::Emergence& e) {
  std::vector<std::string> ends;
  if (e.censoring() != v1::CENSORING_LEFT) {
    if (!e.has_after_tokens()) return "";
    ends.push_back(answers::TokenText(e.after_tokens()));
  }
  if (analytics::HasEmerged(e)) {
    if (!e.has_by_tokens()) return "";
    ends.push_back(answers::TokenText(e.by_tokens()));
  }
  return absl::StrCat(" (", absl::StrJoin(ends, " to "), " tokens)");
}

// "; 96 tokens a sequence, float32, bos policy stored, spec version 2".
std::string TermsText(const v1::MeasurementHeader& terms) {
  if (terms.sequence_length() == 0) return "";
  std::string text =
      absl::StrCat("; ", terms.sequence_length(), " tokens a sequence, ",
                   terms.dtype(), ", bos policy ", terms.bos_policy(),
                   ", spec version ", terms.spec_version());
  if (!terms.probe().name().empty()) {
    absl::StrAppend(&text, ", probe ", terms.probe().name());
  }
  if (!terms.protocol().empty()) {
    absl::StrAppend(&text, ", protocol ", terms.protocol());
  }
  return text;
}

}  // namespace

v1::Fact FactOf(const char* topic, const RunSeries& run,
                const std::string& metric, const std::string& domain) {
  v1::Fact fact;
  fact.set_topic(topic);
  fact.set_run(run.run().name());
  fact.set_metric(metric);
  fact.set_domain(domain);
  return fact;
}

std::string Counted(int64_t count, const char* what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

std::string IntervalText(const v1::Emergence& e) {
  if (e.censoring() == v1::CENSORING_UNMEASURED) return "was not measured";
  if (e.censoring() == v1::CENSORING_RIGHT) {
    return absl::StrCat("at no step up to ", e.after_step(), TokensOf(e));
  }
  const std::string text = absl::StrCat(
      e.censoring() == v1::CENSORING_LEFT
          ? absl::StrCat("at the first checkpoint, ", e.by_step())
          : absl::StrCat("in (", e.after_step(), ", ", e.by_step(), "]"),
      TokensOf(e));
  return e.provisional() ? absl::StrCat(text, ", provisional") : text;
}

absl::Status AddRunFact(RunSeries& run, Facts& facts) {
  ASSIGN_OR_RETURN(const auto any,
                   run.Read(run.metrics()[0].name(), run.domains()[0]));
  const v1::ModelInfo& model = run.run().model();
  v1::Fact fact = FactOf("run", run, "", "");
  fact.set_count(any->steps.size());
  std::string text = absl::StrCat("run ", run.run().name());
  if (!run.stage().empty()) absl::StrAppend(&text, ", stage ", run.stage());
  absl::StrAppend(&text, ": ", Counted(any->steps.size(), "checkpoint"));
  if (!any->steps.empty()) {
    fact.set_after_step(any->steps.front());
    fact.set_by_step(any->steps.back());
    absl::StrAppend(&text, any->steps.size() == 1 ? ", step " : ", steps ",
                    any->steps.front());
  }
  if (any->steps.size() > 1) {
    absl::StrAppend(&text, " to ", any->steps.back());
  }
  if (!any->steps.empty()) {
    absl::StrAppend(
        &text, run.tokens().TextBetween(any->steps.front(), any->steps.back()));
  }
  absl::StrAppend(&text, "; ", Counted(model.layers(), "layer"), ", ",
                  Counted(model.heads(), "head"), " each; domains ",
                  absl::StrJoin(run.domains(), ", "), TermsText(run.Terms()));
  fact.set_text(text);
  facts.push_back(std::move(fact));
  return absl::OkStatus();
}

void AddOnsetFacts(const RunSeries& run, const std::vector<RunOnset>& onsets,
                   Facts& facts) {
  for (const RunOnset& onset : onsets) facts.push_back(OnsetFact(run, onset));
  for (const RunOnset& onset : onsets) {
    if (onset.rise.has_value()) facts.push_back(RiseFact(run, onset));
  }
  for (const RunOnset& onset : onsets) {
    if (onset.reversed > 0) facts.push_back(ReversalFact(run, onset));
  }
}

void AddOrderFacts(const RunSeries& run, const std::vector<RunOnset>& onsets,
                   Facts& facts) {
  const v1::MetricRole roles[] = {v1::METRIC_ROLE_SINK_MASS,
                                  v1::METRIC_ROLE_VALUE_DRAIN,
                                  v1::METRIC_ROLE_RESIDUAL_PEAK};
  for (const std::string& domain : run.domains()) {
    std::vector<const RunOnset*> found;
    for (v1::MetricRole role : roles) {
      const RunOnset* onset = FindOnset(onsets, run.Playing(role), domain);
      if (onset != nullptr && !onset->each.empty()) found.push_back(onset);
    }
    for (size_t i = 0; i < found.size(); ++i) {
      for (size_t j = i + 1; j < found.size(); ++j) {
        v1::Fact fact = OrderFact(run, *found[i], *found[j]);
        if (fact.of() > 0) facts.push_back(std::move(fact));
      }
    }
  }
}

}  // namespace sinkwatch::query

#include "server/query/comparison_facts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "proto/base/status_macros.h"
#include "server/analytics/emergence.h"
#include "server/analytics/onset_order.h"
#include "server/analytics/seed_band.h"

namespace sinkwatch::query {
namespace {

using analytics::Order;
using Head = std::pair<int, int>;

std::string NameOf(const ComparedRun& run) { return run.series->run().name(); }

v1::Fact FactOf(const char* topic, const ComparedRun& run,
                const std::string& metric, const std::string& domain) {
  v1::Fact fact;
  fact.set_topic(topic);
  fact.set_run(NameOf(run));
  fact.set_metric(metric);
  fact.set_domain(domain);
  return fact;
}

const char* VerdictOf(Order order) {
  switch (order) {
    case Order::kEarlier:
      return "earlier";
    case Order::kLater:
      return "later";
    case Order::kUnresolved:
      break;
  }
  return "unresolved";
}

// How many series of `run` emerged before and after the same ones of `first`.
struct Counts {
  int earlier = 0, later = 0, both = 0;
};

Counts CountOrders(const RunOnset& run, const RunOnset& first) {
  std::map<std::string, const v1::Emergence*> others;
  for (const v1::Emergence& e : first.each) others[e.key().label()] = &e;
  Counts counts;
  for (const v1::Emergence& e : run.each) {
    const auto other = others.find(e.key().label());
    if (other == others.end()) continue;
    ++counts.both;
    const Order order = analytics::OrderOf(e, *other->second).order;
    counts.earlier += order == Order::kEarlier;
    counts.later += order == Order::kLater;
  }
  return counts;
}

// An emergence with tokens in the place of steps; none where an end that it has
// is not known.
std::optional<v1::Emergence> InTokens(const v1::Emergence& e) {
  const bool has_after = e.censoring() == v1::CENSORING_NONE ||
                         e.censoring() == v1::CENSORING_RIGHT;
  if (e.censoring() == v1::CENSORING_UNMEASURED ||
      (has_after && !e.has_after_tokens()) ||
      (analytics::HasEmerged(e) && !e.has_by_tokens())) {
    return std::nullopt;
  }
  v1::Emergence in_tokens = e;
  in_tokens.set_after_step(e.after_tokens());
  in_tokens.set_by_step(e.by_tokens());
  return in_tokens;
}

// The order by tokens, which is another where runs have other batch sizes; none
// where tokens are not known.
std::optional<Order> OrderByTokens(const v1::Emergence& here,
                                   const v1::Emergence& there) {
  const auto a = InTokens(here), b = InTokens(there);
  if (!a.has_value() || !b.has_value()) return std::nullopt;
  return analytics::OrderOf(*a, *b).order;
}

// " emerged earlier than ", " has emerged neither here nor in ".
std::string HowText(const v1::Emergence& here, const v1::Emergence& there,
                    Order order) {
  const auto unmeasured = [](const v1::Emergence& e) {
    return e.censoring() == v1::CENSORING_UNMEASURED;
  };
  if (unmeasured(here) || unmeasured(there)) return " cannot be compared with ";
  if (!analytics::HasEmerged(here) && !analytics::HasEmerged(there)) {
    return " has emerged neither here nor in ";
  }
  if (order == Order::kLater && !analytics::HasEmerged(here)) {
    return " has not emerged, as it had in ";
  }
  if (order == Order::kEarlier && !analytics::HasEmerged(there)) {
    return " emerged, as it has not in ";
  }
  const char* const words[] = {"in an order that is unresolved against",
                               "earlier than", "later than"};
  return absl::StrCat(" emerged ", words[static_cast<int>(order)], " ");
}

// "; by the estimates 1.53 times as early"; nothing where the order is not
// resolved or an estimate is not known.
std::string TimesText(const analytics::OnsetOrder& order) {
  if (order.order == Order::kUnresolved || !std::isfinite(order.gap)) return "";
  return absl::StrFormat("; by the estimates %.3g times as %s",
                         std::exp(std::abs(order.gap)),
                         order.gap > 0 ? "early" : "late");
}

v1::Fact OnsetDifference(const ComparedRun& run, const RunOnset& onset,
                         const ComparedRun& first, const RunOnset& reference) {
  const analytics::OnsetOrder order =
      analytics::OrderOf(onset.typical, reference.typical);
  const Counts counts = CountOrders(onset, reference);
  v1::Fact fact = FactOf("difference", run, onset.metric->name(), onset.domain);
  fact.set_verdict(VerdictOf(order.order));
  // Above 0: later than the first run.
  if (std::isfinite(order.gap)) fact.set_value(-order.gap);
  fact.set_count(order.order == Order::kLater ? counts.later : counts.earlier);
  fact.set_of(counts.both);
  if (onset.typical.censoring() == v1::CENSORING_NONE) {
    fact.set_after_step(onset.typical.after_step());
  }
  if (analytics::HasEmerged(onset.typical)) {
    fact.set_by_step(onset.typical.by_step());
  }
  const auto by_tokens = OrderByTokens(onset.typical, reference.typical);
  if (by_tokens.has_value()) fact.set_verdict_by_tokens(VerdictOf(*by_tokens));
  fact.set_text(absl::StrCat(
      onset.metric->name(), " in ", onset.domain,
      HowText(onset.typical, reference.typical, order.order), NameOf(first),
      ": ", NameOf(run), " ", IntervalText(onset.typical), "; ", NameOf(first),
      " ", IntervalText(reference.typical), TimesText(order), "; of ",
      counts.both, " series in both ", counts.earlier, " earlier, ",
      counts.later, " later",
      by_tokens.has_value()
          ? absl::StrCat("; by tokens ", fact.verdict_by_tokens())
          : ""));
  return fact;
}

bool SameJump(const v1::Fact& a, const v1::Fact& b) {
  return a.metric() == b.metric() && a.domain() == b.domain() &&
         a.verdict() == b.verdict() && a.after_step() < b.by_step() &&
         b.after_step() < a.by_step();
}

// Whether a run has checkpoints of a jump's metric on both sides of it.
bool LooksThere(const ComparedRun& run, const v1::Fact& jump) {
  const auto series = run.series->Read(jump.metric(), jump.domain());
  if (!series.ok() || (*series)->steps.empty()) return false;
  return (*series)->steps.front() <= jump.after_step() &&
         (*series)->steps.back() >= jump.by_step();
}

// Each jump of the run, and which of the others have it as well.
void AddJumpsOf(const ComparedRun& run,
                const std::vector<const ComparedRun*>& others, Facts& facts) {
  for (const v1::Fact& jump : run.jumps) {
    std::vector<std::string> with, without, unknown;
    for (const ComparedRun* other : others) {
      const bool same =
          std::any_of(other->jumps.begin(), other->jumps.end(),
                      [&](const v1::Fact& o) { return SameJump(jump, o); });
      const bool known = same || LooksThere(*other, jump);
      (same ? with : known ? without : unknown).push_back(NameOf(*other));
    }
    v1::Fact fact = jump;
    fact.set_verdict(!unknown.empty()  ? "unknown"
                     : without.empty() ? "both"
                     : with.empty()    ? "only here"
                                       : "some");
    std::string text = absl::StrCat(NameOf(run), ": ", jump.text());
    if (!with.empty()) {
      absl::StrAppend(&text, "; ", absl::StrJoin(with, ", "), " as well");
    }
    if (!without.empty()) {
      absl::StrAppend(&text, "; not ", absl::StrJoin(without, ", "));
    }
    if (!unknown.empty()) {
      absl::StrAppend(&text, "; of ", absl::StrJoin(unknown, ", "),
                      " it is not known, for want of checkpoints there");
    }
    fact.set_text(text);
    facts.push_back(std::move(fact));
  }
}

std::set<Head> SwitchingOf(const HeadHistory& history) {
  std::set<Head> heads;
  for (const v1::HeadStates& head : history.heads) {
    if (head.type() == v1::HEAD_TYPE_SWITCHING) {
      heads.emplace(head.layer(), head.head());
    }
  }
  return heads;
}

std::string ListOf(const std::set<Head>& heads) {
  constexpr size_t kMax = 50;
  std::vector<std::string> names;
  for (const Head& head : heads) {
    if (names.size() == kMax) break;
    names.push_back(absl::StrCat("L", head.first, "H", head.second));
  }
  std::string text = absl::StrJoin(names, ", ");
  if (heads.size() > kMax) {
    absl::StrAppend(&text, " and ", heads.size() - kMax, " more");
  }
  return text;
}

// Those of `heads` whose type the other run does not tell.
std::set<Head> UnknownIn(const HeadHistory& other, std::set<Head> heads) {
  for (const v1::HeadStates& head : other.heads) {
    if (head.type() == v1::HEAD_TYPE_UNSPECIFIED) continue;
    heads.erase({head.layer(), head.head()});
  }
  return heads;
}

std::set<Head> Minus(const std::set<Head>& a, const std::set<Head>& b) {
  std::set<Head> left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(),
                      std::inserter(left, left.end()));
  return left;
}

// "; only in a: L1H3; in a, and not known in b: L7H0".
std::string OnlyIn(const ComparedRun& run, const ComparedRun& other,
                   const std::set<Head>& only, const std::set<Head>& unknown) {
  std::string text;
  if (!only.empty()) {
    absl::StrAppend(&text, "; only in ", NameOf(run), ": ", ListOf(only));
  }
  if (!unknown.empty()) {
    absl::StrAppend(&text, "; in ", NameOf(run), ", and not known in ",
                    NameOf(other), ": ", ListOf(unknown));
  }
  return text;
}

v1::Fact SwitchingFact(const ComparedRun& run, const ComparedRun& first) {
  const std::set<Head> here = SwitchingOf(*run.history);
  const std::set<Head> there = SwitchingOf(*first.history);
  const std::set<Head> only_here = Minus(here, there);
  const std::set<Head> only_there = Minus(there, here);
  const std::set<Head> unknown_there = UnknownIn(*first.history, only_here);
  const std::set<Head> unknown_here = UnknownIn(*run.history, only_there);
  v1::Fact fact = FactOf("switching", run, run.history->dormancy->name(), "");
  fact.set_count(here.size());
  fact.set_of(there.size());
  fact.set_value(static_cast<double>(here.size() - only_here.size()));
  fact.set_text(absl::StrCat(
      Counted(here.size(), "head"),
      here.size() == 1 ? " switches in " : " switch in ", NameOf(run), ", ",
      there.size(), " in ", NameOf(first), "; ", here.size() - only_here.size(),
      " in both",
      OnlyIn(run, first, Minus(only_here, unknown_there), unknown_there),
      OnlyIn(first, run, Minus(only_there, unknown_here), unknown_here)));
  return fact;
}

// The last step that both have.
std::optional<std::pair<analytics::SeriesPoint, analytics::SeriesPoint>>
LastCommon(const std::vector<analytics::SeriesPoint>& a,
           const std::vector<analytics::SeriesPoint>& b) {
  for (auto at = a.rbegin(); at != a.rend(); ++at) {
    const auto other = std::find_if(
        b.begin(), b.end(), [&](const auto& p) { return p.step == at->step; });
    if (other != b.end()) return std::make_pair(*at, *other);
  }
  return std::nullopt;
}

absl::Status AddLossOf(ComparedRun& run, ComparedRun& first,
                       const std::string& domain, Facts& facts) {
  const auto* metric = run.series->Playing(v1::METRIC_ROLE_LOSS);
  if (metric == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto here, run.series->Read(metric->name(), domain));
  const auto there = first.series->Read(metric->name(), domain);
  if (!there.ok() || here->columns.empty() || (*there)->columns.empty()) {
    return absl::OkStatus();
  }
  const auto last = LastCommon(PointsOf(*here, 0), PointsOf(**there, 0));
  v1::Fact fact = FactOf("loss", run, metric->name(), domain);
  if (!last.has_value()) {
    fact.set_text(absl::StrCat(metric->name(), " in ", domain, ": ",
                               NameOf(run), " and ", NameOf(first),
                               " have no step in common"));
    facts.push_back(std::move(fact));
    return absl::OkStatus();
  }
  fact.set_value(last->first.value - last->second.value);
  fact.set_by_step(last->first.step);
  fact.set_text(absl::StrFormat(
      "%s in %s at step %d: %.4f in %s, %.4f in %s (%+.4f)", metric->name(),
      domain, last->first.step, last->first.value, NameOf(run),
      last->second.value, NameOf(first), fact.value()));
  facts.push_back(std::move(fact));
  return absl::OkStatus();
}

// The band of a metric over runs of one group.
absl::Status AddBandOf(const std::vector<ComparedRun*>& group,
                       const v1::MetricDescriptor& metric,
                       const std::string& domain, Facts& facts) {
  std::vector<std::vector<analytics::SeriesPoint>> curves;
  for (ComparedRun* run : group) {
    const auto series = run->series->Read(metric.name(), domain);
    if (!series.ok() || (*series)->columns.empty()) return absl::OkStatus();
    curves.push_back(MedianCurve(**series, {}));
  }
  const std::vector<analytics::BandPoint> band = analytics::BandOf(curves);
  if (band.empty()) return absl::OkStatus();
  const analytics::BandPoint& last = band.back();
  v1::Fact fact = FactOf("band", *group[0], metric.name(), domain);
  fact.set_run(analytics::SeedGroupOf(NameOf(*group[0])));
  fact.set_count(group.size());
  fact.set_value(last.median);
  fact.set_low(last.least);
  fact.set_high(last.largest);
  fact.set_by_step(last.step);
  fact.set_text(absl::StrFormat(
      "over %d seeds, the median of %s in %s at step %d is %.4g, from %.4g to "
      "%.4g",
      group.size(), metric.name(), domain, last.step, last.median, last.least,
      last.largest));
  facts.push_back(std::move(fact));
  return absl::OkStatus();
}

std::map<std::string, std::vector<ComparedRun*>> SeedGroups(
    std::vector<ComparedRun>& runs, bool seeds) {
  std::map<std::string, std::vector<ComparedRun*>> groups;
  for (ComparedRun& run : runs) {
    groups[seeds ? "" : analytics::SeedGroupOf(NameOf(run))].push_back(&run);
  }
  return groups;
}

}  // namespace

void AddOnsetComparison(const std::vector<ComparedRun>& runs, Facts& facts) {
  for (const ComparedRun& run : runs) {
    Facts own;
    AddOnsetFacts(*run.series, run.onsets, own);
    for (v1::Fact& fact : own) {
      if (fact.topic() != "onset") continue;
      fact.set_text(absl::StrCat(NameOf(run), ": ", fact.text()));
      facts.push_back(std::move(fact));
    }
  }
  for (size_t i = 1; i < runs.size(); ++i) {
    for (const RunOnset& onset : runs[i].onsets) {
      const RunOnset* const reference =
          FindOnset(runs[0].onsets, onset.metric, onset.domain);
      if (reference == nullptr) continue;
      facts.push_back(OnsetDifference(runs[i], onset, runs[0], *reference));
    }
  }
}

void AddJumpComparison(const std::vector<ComparedRun>& runs, Facts& facts) {
  std::vector<const ComparedRun*> others;
  for (size_t i = 1; i < runs.size(); ++i) others.push_back(&runs[i]);
  AddJumpsOf(runs[0], others, facts);
  for (const ComparedRun* other : others) AddJumpsOf(*other, {&runs[0]}, facts);
}

void AddSwitchingComparison(const std::vector<ComparedRun>& runs,
                            Facts& facts) {
  for (size_t i = 1; i < runs.size(); ++i) {
    if (!runs[i].history.has_value() || !runs[0].history.has_value()) continue;
    if (runs[i].series->domains().size() < 2) continue;
    facts.push_back(SwitchingFact(runs[i], runs[0]));
  }
}

absl::Status AddLossComparison(std::vector<ComparedRun>& runs, Facts& facts) {
  for (size_t i = 1; i < runs.size(); ++i) {
    for (const std::string& domain : runs[i].series->domains()) {
      RETURN_IF_ERROR(AddLossOf(runs[i], runs[0], domain, facts));
    }
  }
  return absl::OkStatus();
}

absl::Status AddBands(std::vector<ComparedRun>& runs, bool seeds,
                      Facts& facts) {
  for (const auto& [name, group] : SeedGroups(runs, seeds)) {
    if (group.size() < 2) continue;
    for (const v1::MetricDescriptor& metric : group[0]->series->metrics()) {
      if (!metric.headline() && !metric.has_threshold()) continue;
      for (const std::string& domain : group[0]->series->domains()) {
        RETURN_IF_ERROR(AddBandOf(group, metric, domain, facts));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::query

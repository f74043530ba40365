// Facts about the states of a run's heads.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "proto/base/status_macros.h"
#include "server/analytics/head_state.h"
#include "server/answers/names.h"
#include "server/query/facts.h"

namespace sinkwatch::query {
namespace {

// Heads that are named one by one.
constexpr int kMaxHeads = 200;

// Of the states of a domain, by how many heads are in them.
void AddCounts(const RunSeries& run, const HeadHistory& history, size_t d,
               Facts& facts) {
  std::map<v1::HeadState, int> counts;
  for (const v1::HeadStates& head : history.heads) {
    ++counts[head.domains(static_cast<int>(d)).state()];
  }
  for (const auto& [state, count] : counts) {
    v1::Fact fact =
        FactOf("states", run, history.dormancy->name(), run.domains()[d]);
    fact.set_count(count);
    fact.set_of(history.heads.size());
    fact.set_verdict(answers::HeadStateName(state));
    fact.set_by_step(history.step);
    fact.set_text(absl::StrCat(
        count, " of ", Counted(history.heads.size(), "head"),
        count == 1 ? " is " : " are ",
        state == v1::HEAD_STATE_UNSPECIFIED ? "of a state that is not known"
                                            : fact.verdict(),
        " in ", run.domains()[d], " at step ", history.step));
    facts.push_back(std::move(fact));
  }
}

// "(95 % interval .85 to .93 by bootstrap of 64 and 64 sequences, AUROC 0.98)".
std::string IntervalOf(const v1::Contrast& contrast) {
  if (!std::isfinite(contrast.low())) return "";
  std::string text = absl::StrFormat(" (95 %% interval %.3f to %.3f, ",
                                     contrast.low(), contrast.high());
  if (contrast.method() != v1::INTERVAL_METHOD_BOOTSTRAP) {
    return text + "by standard errors)";
  }
  absl::StrAppendFormat(&text, "bootstrap over %d and %d sequences; AUROC %.3f",
                        contrast.high_sequences(), contrast.low_sequences(),
                        contrast.auroc());
  if (contrast.has_cohens_d()) {
    absl::StrAppendFormat(&text, ", Cohen's d %.2f", contrast.cohens_d());
  }
  return text + ")";
}

v1::Fact SwitchingHead(const RunSeries& run, const HeadHistory& history,
                       const v1::HeadStates& head) {
  const v1::Contrast& contrast = head.contrast();
  v1::Fact fact = FactOf("switching", run, history.dormancy->name(),
                         contrast.high_domain());
  fact.set_layer(head.layer());
  fact.set_head(head.head());
  fact.set_value(contrast.difference());
  if (std::isfinite(contrast.low())) fact.set_low(contrast.low());
  if (std::isfinite(contrast.high())) fact.set_high(contrast.high());
  fact.set_by_step(head.since_step());
  fact.set_verdict("switching");
  fact.set_text(absl::StrFormat(
      "L%dH%d switches since step %d: %s is %.3f higher in %s than in %s%s",
      head.layer(), head.head(), head.since_step(), history.dormancy->name(),
      contrast.difference(), contrast.high_domain(), contrast.low_domain(),
      IntervalOf(contrast)));
  return fact;
}

// "; of 3 it is not known, ...": those that some domain has no value of.
std::string UnknownText(const HeadHistory& history) {
  const auto unknown =
      std::count_if(history.heads.begin(), history.heads.end(),
                    [](const v1::HeadStates& head) {
                      return head.type() == v1::HEAD_TYPE_UNSPECIFIED;
                    });
  if (unknown == 0) return "";
  return absl::StrCat("; of ", unknown,
                      " it is not known, as a domain has no value of them");
}

void AddSwitching(const RunSeries& run, const HeadHistory& history,
                  Facts& facts) {
  if (run.domains().size() < 2) return;
  std::vector<const v1::HeadStates*> switching;
  for (const v1::HeadStates& head : history.heads) {
    if (head.type() == v1::HEAD_TYPE_SWITCHING) switching.push_back(&head);
  }
  std::stable_sort(switching.begin(), switching.end(),
                   [](const v1::HeadStates* a, const v1::HeadStates* b) {
                     return a->contrast().difference() >
                            b->contrast().difference();
                   });
  v1::Fact count = FactOf("switching", run, history.dormancy->name(), "");
  count.set_count(switching.size());
  count.set_of(history.heads.size());
  count.set_text(absl::StrCat(
      switching.size(), " of ", Counted(history.heads.size(), "head"),
      switching.size() == 1 ? " switches between " : " switch between ",
      absl::StrJoin(run.domains(), ", "), UnknownText(history)));
  if (switching.size() > kMaxHeads) {
    count.set_text(absl::StrCat(count.text(), "; those ", kMaxHeads,
                                " that differ most are listed"));
    switching.resize(kMaxHeads);
  }
  facts.push_back(std::move(count));
  for (const v1::HeadStates* head : switching) {
    facts.push_back(SwitchingHead(run, history, *head));
  }
}

size_t PlaceOf(const RunSeries& run, const std::string& domain) {
  const auto& domains = run.domains();
  return std::find(domains.begin(), domains.end(), domain) - domains.begin();
}

int DormantAtEnd(const RunSeries& run, const HeadHistory& history,
                 const std::string& domain) {
  const int d = static_cast<int>(PlaceOf(run, domain));
  return static_cast<int>(
      std::count_if(history.heads.begin(), history.heads.end(),
                    [d](const v1::HeadStates& head) {
                      return head.domains(d).state() == v1::HEAD_STATE_DORMANT;
                    }));
}

// Heads that look otherwise at the last checkpoint than their state says, which
// takes two in a row to change.
void AddUnsettled(const RunSeries& run, const HeadHistory& history, size_t d,
                  Facts& facts) {
  const analytics::HeadStateRule rule = StateRuleOf(run, {});
  int unsettled = 0;
  for (const v1::HeadStates& head : history.heads) {
    std::vector<analytics::HeadSignals> signals;
    for (const v1::HeadInDomain& in : head.domains()) {
      analytics::HeadSignals& of = signals.emplace_back();
      of.dormancy = in.dormancy();
      of.drain = in.drain();
      of.write = in.write();
    }
    const v1::HeadState seen =
        analytics::StateOf(signals[d], analytics::LargestWrite(signals), rule);
    unsettled += seen != v1::HEAD_STATE_UNSPECIFIED &&
                 seen != head.domains(static_cast<int>(d)).state();
  }
  if (unsettled == 0) return;
  v1::Fact fact =
      FactOf("states", run, history.dormancy->name(), run.domains()[d]);
  fact.set_count(unsettled);
  fact.set_of(history.heads.size());
  fact.set_verdict("unsettled");
  fact.set_by_step(history.step);
  fact.set_text(absl::StrCat(
      unsettled, " of ", Counted(history.heads.size(), "head"),
      unsettled == 1 ? " looks" : " look", " otherwise in ", run.domains()[d],
      " at step ", history.step, " than the state says: it changes when ",
      rule.consecutive, " checkpoints in a row say so"));
  facts.push_back(std::move(fact));
}

// How the set of dormant heads went over its checkpoints.
void AddSets(const RunSeries& run, const HeadHistory& history,
             const std::string& domain, Facts& facts) {
  int dropouts = 0, newcomers = 0;
  const DormantSetChange* last = nullptr;
  for (const DormantSetChange& set : history.sets) {
    if (set.domain != domain) continue;
    dropouts += set.change.dropouts;
    newcomers += set.change.newcomers;
    last = &set;
  }
  if (last == nullptr) return;
  v1::Fact fact = FactOf("head_set", run, history.dormancy->name(), domain);
  fact.set_count(dropouts);
  fact.set_of(newcomers);
  fact.set_by_step(last->step);
  std::string text =
      absl::StrCat("in ", domain, ", ", Counted(newcomers, "time"),
                   " a head became dormant after the first checkpoint and ",
                   Counted(dropouts, "time"), " one ceased to be; ");
  if (DormantAtEnd(run, history, domain) + last->change.dropouts == 0) {
    text += "none is dormant at the last two checkpoints";
  } else {
    fact.set_value(last->change.jaccard);
    absl::StrAppendFormat(&text,
                          "Jaccard index of the dormant heads at the last two "
                          "checkpoints %.3f",
                          last->change.jaccard);
  }
  fact.set_text(text);
  facts.push_back(std::move(fact));
}

// The checkpoint and domain at which the most heads changed their state.
void AddFlips(const RunSeries& run, const HeadHistory& history, Facts& facts) {
  std::map<std::pair<int64_t, std::string>, int> flips;
  for (const v1::HeadStateChange& change : history.changes) {
    ++flips[{change.step(), change.domain()}];
  }
  const auto most = std::max_element(
      flips.begin(), flips.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == flips.end()) return;
  v1::Fact fact =
      FactOf("flips", run, history.dormancy->name(), most->first.second);
  fact.set_count(most->second);
  fact.set_of(history.heads.size());
  fact.set_by_step(most->first.first);
  fact.set_text(absl::StrCat("at step ", most->first.first, " ", most->second,
                             " of ", Counted(history.heads.size(), "head"),
                             " changed state in ", most->first.second,
                             ", the most at once"));
  facts.push_back(std::move(fact));
}

}  // namespace

absl::Status AddStateFacts(RunSeries& run, Facts& facts) {
  if (run.Playing(v1::METRIC_ROLE_DORMANCY) == nullptr) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const HeadHistory history,
                   FollowHeads(run, StateRuleOf(run, {}), std::nullopt));
  AddStateFacts(run, history, facts);
  return absl::OkStatus();
}

void AddStateFacts(const RunSeries& run, const HeadHistory& history,
                   Facts& facts) {
  if (history.heads.empty()) return;
  for (size_t d = 0; d < run.domains().size(); ++d) {
    AddCounts(run, history, d, facts);
    AddUnsettled(run, history, d, facts);
  }
  AddSwitching(run, history, facts);
  for (const std::string& domain : run.domains()) {
    AddSets(run, history, domain, facts);
  }
  AddFlips(run, history, facts);
}

}  // namespace sinkwatch::query

#include "server/analytics/diagnosis.h"

#include <functional>
#include <set>

namespace sinkwatch::analytics {
namespace {

using Facts = std::vector<v1::Fact>;

constexpr double kBroadcastShare = .05;
constexpr double kLostShare = .1;
constexpr double kFlipShare = .05;

// The facts of one domain, and who plays which role.
class Signals {
 public:
  Signals(const Facts& facts, const RolesByMetric& roles,
          const std::string& domain)
      : facts_(facts), roles_(roles), domain_(domain) {}

  using Test = std::function<bool(const v1::Fact&)>;

  v1::MetricRole RoleOf(const v1::Fact& fact) const {
    const auto found = roles_.find(fact.metric());
    return found == roles_.end() ? v1::METRIC_ROLE_UNSPECIFIED : found->second;
  }
  std::vector<const v1::Fact*> All(const std::string& topic,
                                   const Test& test) const {
    std::vector<const v1::Fact*> found;
    for (const v1::Fact& fact : facts_) {
      if (fact.topic() == topic && fact.domain() == domain_ && test(fact)) {
        found.push_back(&fact);
      }
    }
    return found;
  }
  std::vector<const v1::Fact*> OfRole(const std::string& topic,
                                      v1::MetricRole role) const {
    return All(topic, [&](const v1::Fact& f) { return RoleOf(f) == role; });
  }
  const std::string& domain() const { return domain_; }

 private:
  const Facts& facts_;
  const RolesByMetric& roles_;
  const std::string domain_;
};

v1::Fact Finding(const Signals& signals, const char* rule,
                 const std::string& text,
                 const std::vector<const v1::Fact*>& evidence) {
  v1::Fact finding;
  finding.set_topic("diagnosis");
  finding.set_run(evidence[0]->run());
  finding.set_domain(signals.domain());
  finding.set_verdict(rule);
  finding.set_text(text + " (" + signals.domain() + ")");
  for (const v1::Fact* fact : evidence) finding.add_evidence(fact->text());
  return finding;
}

bool AtLeast(double count, const v1::Fact& fact, double share) {
  return count > 0 && count >= share * static_cast<double>(fact.of());
}

bool Overlap(const v1::Fact& a, const v1::Fact& b) {
  return a.after_step() < b.by_step() && b.after_step() < a.by_step();
}

void FindBroadcast(const Signals& signals, Facts& findings) {
  const auto of = [&](const char* state) {
    return signals.All("states", [state](const v1::Fact& fact) {
      return fact.verdict() == state;
    });
  };
  std::vector<const v1::Fact*> evidence = of("broadcast");
  if (evidence.empty()) return;
  const auto dormant = of("dormant");
  const int64_t broadcast = evidence[0]->count();
  const int64_t on_sink =
      broadcast + (dormant.empty() ? 0 : dormant[0]->count());
  if (static_cast<double>(broadcast) <
      kBroadcastShare * static_cast<double>(on_sink)) {
    return;
  }
  evidence.insert(evidence.end(), dormant.begin(), dormant.end());
  findings.push_back(Finding(
      signals, "broadcast_heads",
      "heads attend to the sink while its value is not drained: they write the "
      "same everywhere",
      evidence));
}

void FindLonely(const Signals& signals, v1::MetricRole present,
                v1::MetricRole absent, const char* rule, const char* text,
                Facts& findings) {
  const auto there = signals.OfRole("onset", present);
  const auto lacking = signals.OfRole("onset", absent);
  if (there.empty() || lacking.empty()) return;
  // What was not measured is not lacking, and what the last checkpoint alone
  // says is not there yet.
  if (lacking[0]->of() == 0 || there[0]->verdict() == "provisional") return;
  if (there[0]->count() == 0 || lacking[0]->count() > 0) return;
  findings.push_back(Finding(signals, rule, text, {there[0], lacking[0]}));
}

void FindLossWithJump(const Signals& signals, Facts& findings) {
  for (const v1::Fact* loss : signals.OfRole("jump", v1::METRIC_ROLE_LOSS)) {
    if (loss->verdict() != "up") continue;
    std::vector<const v1::Fact*> evidence = {loss};
    for (const v1::Fact* other : signals.All("jump", [&](const v1::Fact& f) {
           return signals.RoleOf(f) != v1::METRIC_ROLE_LOSS &&
                  Overlap(f, *loss);
         })) {
      evidence.push_back(other);
    }
    if (evidence.size() < 2) continue;
    findings.push_back(Finding(signals, "loss_and_jump",
                               "the loss jumped up where other metrics jumped",
                               evidence));
  }
}

void FindLost(const Signals& signals, Facts& findings) {
  for (const v1::Fact* fact :
       signals.OfRole("reversal", v1::METRIC_ROLE_SINK_MASS)) {
    // Those that came back are not lost.
    if (!AtLeast(fact->value(), *fact, kLostShare)) continue;
    findings.push_back(Finding(signals, "sinks_lost",
                               "heads lost the sink that they had", {fact}));
  }
}

void FindMassive(const Signals& signals, Facts& findings) {
  std::vector<const v1::Fact*> evidence;
  for (const v1::Fact* fact :
       signals.OfRole("onset", v1::METRIC_ROLE_MASSIVE)) {
    if (fact->count() > 0) evidence.push_back(fact);
  }
  for (const v1::Fact* fact : signals.OfRole("jump", v1::METRIC_ROLE_MASSIVE)) {
    if (fact->verdict() == "up") evidence.push_back(fact);
  }
  if (evidence.empty()) return;
  findings.push_back(Finding(
      signals, "massive_growth",
      "activations grow far beyond the median: quantization to few bits is at "
      "risk",
      evidence));
}

void FindFlips(const Signals& signals, Facts& findings) {
  for (const v1::Fact* fact : signals.All("flips", [](const v1::Fact& f) {
         return f.count() > 1 && static_cast<double>(f.count()) >
                                     kFlipShare * static_cast<double>(f.of());
       })) {
    findings.push_back(Finding(
        signals, "flips", "many heads changed their state at once", {fact}));
  }
}

}  // namespace

Facts Diagnose(const Facts& facts, const RolesByMetric& roles) {
  std::set<std::string> domains;
  for (const v1::Fact& fact : facts) {
    if (!fact.domain().empty()) domains.insert(fact.domain());
  }
  Facts findings;
  for (const std::string& domain : domains) {
    const Signals signals(facts, roles, domain);
    FindBroadcast(signals, findings);
    FindLonely(signals, v1::METRIC_ROLE_SINK_MASS,
               v1::METRIC_ROLE_RESIDUAL_PEAK, "sinks_without_peak",
               "sinks emerged without a residual peak", findings);
    FindLonely(signals, v1::METRIC_ROLE_RESIDUAL_PEAK,
               v1::METRIC_ROLE_SINK_MASS, "peak_without_sinks",
               "a residual peak emerged without sinks", findings);
    FindLossWithJump(signals, findings);
    FindLost(signals, findings);
    FindMassive(signals, findings);
    FindFlips(signals, findings);
  }
  return findings;
}

}  // namespace sinkwatch::analytics

#include "server/exporter/run_facts.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"
#include "server/answers/names.h"
#include "server/exporter/family_name.h"
#include "server/exporter/head_counts.h"
#include "server/exporter/text_format.h"

namespace sinkwatch::exporter {
namespace {

void AddJobs(const NowInput& input, PagePlan& plan) {
  std::map<std::string, std::map<int, int64_t>> by_run;
  for (const std::string& run : plan.Runs()) {
    for (int s = v1::JobState_MIN + 1; s <= v1::JobState_MAX; ++s) {
      by_run[run][s] = 0;
    }
  }
  for (const auto& job : input.jobs) {
    auto it = by_run.find(job.run);
    if (it != by_run.end()) it->second[job.state] = job.count;
  }
  for (const auto& [run, states] : by_run) {
    std::vector<Sample> samples;
    for (const auto& [state, count] : states) {
      samples.push_back(
          {{{"run", run},
            {"state", answers::StateName(static_cast<v1::JobState>(state))}},
           static_cast<double>(count),
           false});
    }
    plan.AddFacts(run, "sinkwatch_checkpoints", "Checkpoints by state.",
                  std::move(samples));
  }
}

void AddDiscovery(const NowInput& input, PagePlan& plan) {
  for (const auto& [run, discovery] : input.discovery) {
    if (!plan.Has(run)) continue;
    if (discovery.last_success == absl::InfinitePast()) continue;
    plan.AddFact(
        run, "sinkwatch_last_discovery_success_timestamp_seconds",
        "When the run's root was last read with success.", {{"run", run}},
        absl::ToDoubleSeconds(discovery.last_success - absl::UnixEpoch()));
    std::vector<Sample> samples;
    for (const auto& [kind, count] : discovery.left_alone) {
      samples.push_back(
          {{{"run", run}, {"kind", kind}}, static_cast<double>(count), false});
    }
    if (samples.empty()) continue;
    plan.AddFacts(
        run, "sinkwatch_left_alone",
        "Entries under the run's root that are no checkpoint of it, by "
        "kind; `sinkctl runs RUN` names them.",
        std::move(samples));
  }
}

void AddTrouble(const NowInput& input, PagePlan& plan) {
  for (const std::string& run : plan.Runs()) {
    plan.AddFact(
        run, "sinkwatch_newest_implausible",
        "1 if the newest measurement is marked implausible and an older "
        "one is shown in its place.",
        {{"run", run}}, static_cast<double>(input.implausible.count(run)));
    const auto found = input.unreadable.find(run);
    const int64_t count = found == input.unreadable.end() ? 0 : found->second;
    plan.AddFact(run, "sinkwatch_unreadable_values",
                 "Stored values of the latest measurement that cannot be read "
                 "back and are missing here; the log names them.",
                 {{"run", run}}, static_cast<double>(count));
    const auto same = input.same_weights.find(run);
    plan.AddFact(
        run, "sinkwatch_same_weights",
        "Measured checkpoints whose weights are, wholly or in part, those "
        "of a second step; `sinkctl checkpoints RUN` names both.",
        {{"run", run}},
        same == input.same_weights.end() ? 0
                                         : static_cast<double>(same->second));
  }
}

void AddHeadCounts(const v1::Measurement& m, const Labels& labels,
                   PagePlan& plan) {
  const HeadCounts counts = CountHeads(m);
  std::vector<Sample> samples;
  for (const auto& [domain, states] : counts.states) {
    if (!IsLabelValue(domain)) continue;
    for (v1::HeadState state : answers::AllHeadStates()) {
      const auto found = states.find(state);
      samples.push_back(
          {With(With(labels, "domain", domain), "state",
                answers::HeadStateName(state)),
           found == states.end() ? 0.0 : static_cast<double>(found->second),
           false});
    }
  }
  if (!samples.empty()) {
    plan.AddFacts(m.header().checkpoint().run(), "sinkwatch_heads",
                  "Heads by what they do on a domain at the latest plausible "
                  "measurement, without memory of those before.",
                  std::move(samples));
  }
  if (!counts.switching.has_value()) return;
  plan.AddFact(m.header().checkpoint().run(), "sinkwatch_switching_heads",
               "Heads that are dormant on one domain and not on another at the "
               "latest plausible measurement.",
               labels, static_cast<double>(*counts.switching));
}

Labels InfoLabels(const v1::MeasurementHeader& header, Labels labels) {
  const std::pair<const char*, std::string> facts[] = {
      {"architecture", header.model().architecture()},
      {"dtype", header.dtype()},
      {"probe", header.probe().name()},
      {"bos_policy", header.bos_policy()},
      {"sequence_length", absl::StrCat(header.sequence_length())},
      {"spec_version", absl::StrCat(header.spec_version())}};
  for (const auto& [name, value] : facts) {
    if (IsLabelValue(value)) labels.emplace_back(name, value);
  }
  if (!header.protocol().empty() && IsLabelValue(header.protocol())) {
    labels.emplace_back("protocol", header.protocol());
  }
  return labels;
}

}  // namespace

void AddFactsOfRuns(const NowInput& input, PagePlan& plan) {
  AddJobs(input, plan);
  AddDiscovery(input, plan);
  AddTrouble(input, plan);
}

void AddFactsOfMeasurement(const v1::Measurement& m, const Labels& labels,
                           PagePlan& plan) {
  const v1::Checkpoint& checkpoint = m.header().checkpoint();
  const std::string& run = checkpoint.run();
  plan.AddFact(run, "sinkwatch_latest_step",
               "Step of the latest plausible measurement.", labels,
               static_cast<double>(checkpoint.step()));
  if (checkpoint.tokens() > 0) {
    plan.AddFact(run, "sinkwatch_latest_tokens",
                 "Training tokens seen at the latest plausible measurement.",
                 labels, static_cast<double>(checkpoint.tokens()));
  }
  if (m.has_committed()) {
    using google::protobuf::util::TimeUtil;
    plan.AddFact(
        run, "sinkwatch_last_result_timestamp_seconds",
        "When the latest plausible measurement was committed.", labels,
        static_cast<double>(TimeUtil::TimestampToMilliseconds(m.committed())) /
            1e3);
  }
  if (m.load_seconds() > 0 || m.compute_seconds() > 0) {
    plan.AddFact(run, "sinkwatch_latest_load_seconds",
                 "Time that reading the latest measured checkpoint took.",
                 labels, m.load_seconds());
    plan.AddFact(run, "sinkwatch_latest_compute_seconds",
                 "Time that computing the latest measurement took.", labels,
                 m.compute_seconds());
  }
  AddHeadCounts(m, labels, plan);
  plan.AddFact(run, "sinkwatch_run_info",
               "What the latest plausible measurement was made of; always 1.",
               InfoLabels(m.header(), labels), 1);
}

}  // namespace sinkwatch::exporter

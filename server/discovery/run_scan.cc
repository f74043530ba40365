#include "server/discovery/run_scan.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/discovery/digest.h"
#include "server/discovery/layout.h"
#include "server/discovery/listing.h"
#include "server/scheduler/step_policy.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kSpecVersion = 1;

StepKey KeyOf(const v1::Checkpoint& checkpoint) {
  return {checkpoint.stage(), checkpoint.step()};
}

std::string WaitText(absl::Duration wait) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(wait));
}

}  // namespace

RunScan::RunScan(v1::RunConfig run, const std::vector<v1::Checkpoint>& known)
    : run_(std::move(run)) {
  for (const v1::Checkpoint& checkpoint : known) {
    seen_[KeyOf(checkpoint)] = {checkpoint, absl::InfinitePast()};
  }
}

absl::StatusOr<std::vector<store::Observation>> RunScan::Look(absl::Time now) {
  auto probe = ReadProbe(run_.probe());
  if (!probe.ok()) return probe.status();
  probe_ = *std::move(probe);
  const auto entries = ListFolder(run_.root());
  if (!entries.ok()) return entries.status();

  std::map<StepKey, store::Observation> found;
  for (const Entry& entry : *entries) {
    if (entry.is_folder) LookAtFolder(entry.name, now, found);
  }
  SkipUnwanted(found);
  AddVanished(found);
  std::vector<store::Observation> observations;
  observations.reserve(found.size());
  for (auto& [key, observation] : found) {
    observations.push_back(std::move(observation));
  }
  return observations;
}

void RunScan::LookAtFolder(const std::string& folder, absl::Time now,
                           std::map<StepKey, store::Observation>& found) {
  const auto name = ParseStepName(folder);
  if (!name.has_value()) return;
  const std::string path = absl::StrCat(run_.root(), "/", folder);
  const auto entries = ListFolder(path);
  if (!entries.ok()) return;  // deleted between the two looks

  v1::Checkpoint checkpoint;
  checkpoint.set_run(run_.name());
  checkpoint.set_stage(name->stage.empty() ? run_.stage() : name->stage);
  checkpoint.set_step(name->step);
  checkpoint.set_tokens(name->tokens);
  checkpoint.set_path(path);
  checkpoint.set_fingerprint(Fingerprint(*entries));
  const StepKey key = KeyOf(checkpoint);
  const absl::Time changed = absl::FromUnixNanos(LatestChange(*entries));

  store::Observation observation = NewObservation(checkpoint);
  const std::string unsettled = WhyUnsettled(key, checkpoint, changed, now);
  observation.reason = WhyIncomplete(*entries);
  if (observation.reason.empty()) observation.reason = unsettled;
  observation.state =
      observation.reason.empty() ? v1::JOB_STATE_QUEUED : v1::JOB_STATE_WAITING;
  const absl::Duration grace = absl::Seconds(run_.grace_seconds());
  if (!observation.reason.empty() && now - seen_[key].since > grace) {
    absl::StrAppend(&observation.reason, ", unchanged for ",
                    WaitText(now - seen_[key].since));
  }
  found.emplace(key, std::move(observation));
}

std::string RunScan::WhyUnsettled(const StepKey& key,
                                  const v1::Checkpoint& checkpoint,
                                  absl::Time changed, absl::Time now) {
  auto [place, is_new] = seen_.try_emplace(key, Seen{checkpoint, now});
  if (!is_new &&
      place->second.checkpoint.fingerprint() != checkpoint.fingerprint()) {
    place->second.since = now;
  }
  place->second.checkpoint = checkpoint;
  const absl::Duration quiescence = absl::Seconds(run_.quiescence_seconds());
  const absl::Duration unchanged =
      std::min(now - place->second.since, now - changed);
  if (unchanged >= quiescence) return "";
  return absl::StrCat("settling: no change for ", WaitText(quiescence),
                      " is asked for");
}

void RunScan::SkipUnwanted(std::map<StepKey, store::Observation>& found) const {
  std::map<std::string, std::vector<int64_t>> steps_by_stage;
  for (const auto& [key, observation] : found) {
    steps_by_stage[key.first].push_back(key.second);
  }
  for (const auto& [stage, steps] : steps_by_stage) {
    const std::set<int64_t> wanted =
        scheduler::WantedSteps(run_.steps(), steps);
    for (int64_t step : steps) {
      if (wanted.count(step) != 0) continue;
      store::Observation& observation = found.at({stage, step});
      observation.state = v1::JOB_STATE_SKIPPED;
      observation.reason = "left out by the run's step policy";
    }
  }
}

void RunScan::AddVanished(std::map<StepKey, store::Observation>& found) {
  for (auto place = seen_.begin(); place != seen_.end();) {
    if (found.count(place->first) != 0) {
      ++place;
      continue;
    }
    store::Observation gone = NewObservation(place->second.checkpoint);
    gone.state = v1::JOB_STATE_VANISHED;
    gone.reason = "deleted before it was measured";
    found.emplace(place->first, std::move(gone));
    place = seen_.erase(place);
  }
}

store::Observation RunScan::NewObservation(
    const v1::Checkpoint& checkpoint) const {
  store::Observation observation;
  observation.checkpoint = checkpoint;
  observation.probe = probe_;
  observation.spec_version = kSpecVersion;
  observation.dtype = run_.dtype();
  observation.metrics = {run_.metrics().begin(), run_.metrics().end()};
  return observation;
}

}  // namespace sinkwatch::discovery

#include "server/discovery/run_scan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
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

bool ByName(const Entry& left, const Entry& right) {
  return left.name < right.name;
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
  auto entries = ListFolder(run_.root());
  if (!entries.ok()) return entries.status();
  if (entries->empty() && !seen_.empty()) {
    return absl::UnavailableError(
        absl::StrCat(run_.root(), " is empty, though ", seen_.size(),
                     " checkpoints were there: is its file system mounted?"));
  }
  std::sort(entries->begin(), entries->end(), ByName);

  Found found;
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
                           Found& found) {
  const auto name = ParseStepName(folder);
  if (!name.has_value()) return;
  v1::Checkpoint checkpoint;
  checkpoint.set_run(run_.name());
  checkpoint.set_stage(name->stage.empty() ? run_.stage() : name->stage);
  checkpoint.set_step(name->step);
  checkpoint.set_tokens(name->tokens);
  checkpoint.set_path(absl::StrCat(run_.root(), "/", folder));
  const StepKey key = KeyOf(checkpoint);
  // step5 and step-5 are one step: the first by name is followed.
  if (found.count(key) != 0) return;

  const auto entries = ListFolder(checkpoint.path());
  if (absl::IsNotFound(entries.status())) return;  // between the two looks
  if (!entries.ok()) {
    found.emplace(key, Unreadable(std::move(checkpoint), entries.status()));
    return;
  }
  checkpoint.set_fingerprint(Fingerprint(*entries));
  const absl::Time since =
      Remember(checkpoint, absl::FromUnixNanos(LatestChange(*entries)), now);
  store::Observation observation = NewObservation(checkpoint);
  observation.reason = WhyNotReady(*entries, since, now);
  observation.state =
      observation.reason.empty() ? v1::JOB_STATE_QUEUED : v1::JOB_STATE_WAITING;
  found.emplace(key, std::move(observation));
}

std::string RunScan::WhyNotReady(const std::vector<Entry>& entries,
                                 absl::Time since, absl::Time now) const {
  std::string why = WhyIncomplete(entries);
  if (why.empty()) {
    if (now - since >= absl::Seconds(run_.quiescence_seconds())) return "";
    why = absl::StrCat("settling: no change for ", run_.quiescence_seconds(),
                       " s is asked for");
  }
  if (now - since > absl::Seconds(run_.grace_seconds())) {
    // The time, not how long ago it is: the store writes what has changed.
    absl::StrAppend(
        &why, ", unchanged since ",
        absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", since, absl::UTCTimeZone()));
  }
  return why;
}

absl::Time RunScan::Remember(const v1::Checkpoint& checkpoint,
                             absl::Time changed, absl::Time now) {
  const auto [place, is_new] =
      seen_.try_emplace(KeyOf(checkpoint), Seen{checkpoint, now});
  Seen& seen = place->second;
  if (seen.checkpoint.fingerprint() != checkpoint.fingerprint()) {
    seen.since = now;
  } else if (seen.since == absl::InfinitePast()) {
    // Nobody looked for a while; a time of 0 is no time.
    seen.since = changed > absl::UnixEpoch() ? std::min(changed, now) : now;
  }
  seen.checkpoint = checkpoint;
  return seen.since;
}

store::Observation RunScan::Unreadable(v1::Checkpoint checkpoint,
                                       const absl::Status& status) const {
  const auto seen = seen_.find(KeyOf(checkpoint));
  if (seen != seen_.end()) {
    checkpoint = seen->second.checkpoint;
  } else {
    checkpoint.set_fingerprint(Fingerprint({}));
  }
  store::Observation observation = NewObservation(checkpoint);
  observation.state = v1::JOB_STATE_WAITING;
  observation.reason =
      absl::StrCat("the folder cannot be read: ", status.message());
  return observation;
}

void RunScan::SkipUnwanted(Found& found) const {
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

void RunScan::AddVanished(Found& found) {
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

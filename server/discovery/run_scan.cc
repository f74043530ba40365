#include "server/discovery/run_scan.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "proto/base/utf8.h"
#include "server/discovery/digest.h"
#include "server/discovery/hub_cache.h"
#include "server/discovery/listing.h"
#include "server/discovery/root_notes.h"
#include "server/discovery/step_folders.h"

namespace sinkwatch::discovery {
namespace {

StepKey KeyOf(const v1::Checkpoint& checkpoint) {
  return {checkpoint.stage(), checkpoint.step()};
}

// The fingerprint of one that is not supported, whatever its files: a kind and
// a code, so that a better worded reason makes no other job of it.
constexpr char kUnsupported[] = "unsupported:";

// Whether it is dead by what was said of it here, and no worker saw it.
bool IsUnsupported(const store::JobRecord& job) {
  return job.state == v1::JOB_STATE_DEAD &&
         absl::StartsWith(job.job.checkpoint().fingerprint(), kUnsupported);
}

bool IsOpen(v1::JobState state) {
  return state == v1::JOB_STATE_WAITING || state == v1::JOB_STATE_QUEUED ||
         state == v1::JOB_STATE_RETRYING || state == v1::JOB_STATE_SKIPPED;
}

bool IsSame(const Entry& left, const Entry& right) {
  return left.size == right.size && left.modified_ns == right.modified_ns;
}

}  // namespace

RunScan::RunScan(v1::RunConfig run, const std::vector<store::JobRecord>& known,
                 std::map<std::string, std::string> folders)
    : run_(std::move(run)),
      presence_(base::EscapeBytes(run_.root()),
                absl::Seconds(run_.grace_seconds()), std::move(folders)) {
  for (const store::JobRecord& job : known) {
    const v1::Checkpoint& checkpoint = job.job.checkpoint();
    const StepKey key = KeyOf(checkpoint);
    if (job.state != v1::JOB_STATE_SUPERSEDED) {
      followed_[key] = checkpoint.path();
    }
    if (IsOpen(job.state)) {
      seen_[key] = {checkpoint, absl::InfinitePast()};
    } else if (IsUnsupported(job)) {
      unsupported_.insert(key);
    } else {
      ended_.insert(key);
    }
  }
  if (run_.step_pattern().empty()) return;
  auto pattern = server::NamePattern::Compile(run_.step_pattern());
  pattern_status_ = pattern.status();
  if (pattern.ok()) step_pattern_ = *std::move(pattern);
}

absl::Status RunScan::ReadConfigured() {
  if (!pattern_status_.ok()) return pattern_status_;
  auto probe = ReadProbe(run_.probe());
  if (!probe.ok()) return probe.status();
  is_changed_ |= probe->digest() != probe_.digest();
  probe_ = *std::move(probe);
  if (!run_.model_config().empty()) {
    auto file = LookAtFile(run_.model_config());
    if (!file.ok()) return file.status();
    if (!model_config_.has_value() || !IsSame(*model_config_, *file)) {
      is_changed_ = true;
      // It is in their fingerprints.
      for (Judged& judged : judged_) judged.is_settled = false;
    }
    model_config_ = *std::move(file);
  }
  if (run_.manifest().empty()) return absl::OkStatus();
  auto file = LookAtFile(run_.manifest());
  if (!file.ok()) return file.status();
  if (manifest_file_.has_value() && IsSame(*manifest_file_, *file)) {
    return absl::OkStatus();
  }
  auto manifest = ReadManifest(run_.manifest());
  if (!manifest.ok()) return manifest.status();
  is_changed_ = true;
  manifest_ = *std::move(manifest);
  manifest_file_ = *std::move(file);
  return absl::OkStatus();
}

absl::StatusOr<Found> RunScan::FindCandidates() {
  auto real_root = RealPath(run_.root());
  if (!real_root.ok()) return real_root.status();
  real_root_ = *std::move(real_root);
  names_.Begin(absl::Now());
  names_.Add(run_.root(), Stillness::TimeOf(run_.root()));
  const auto entries = ListRoot(run_.root(), real_root_);
  if (!entries.ok()) return entries.status();
  Found found;
  absl::Status status = FindIn(*entries, &found);
  if (!status.ok()) return status;
  return found;
}

absl::Status RunScan::FindIn(const std::vector<Entry>& entries, Found* found) {
  if (!run_.manifest().empty()) {
    absl::Status status = FindManifestRows(run_, manifest_, found);
    if (status.ok()) LeaveUnlisted(entries, found);
    return status;
  }
  if (read_names_.size() > 2 * (entries.size() + judged_.size())) {
    read_names_.clear();
  }
  const Naming naming = NamesHere();
  if (!IsHubCache(entries)) {
    return FindStepFolders(naming, entries, unknown_, found);
  }
  auto downloads = DownloadsIn(run_.root());
  if (!downloads.ok()) return downloads.status();
  downloads_ = *std::move(downloads);
  absl::Status status = FindRevisions(naming, unknown_, found);
  if (!status.ok()) return status;
  status = FindStepFolders(naming, BesideHubCache(entries), unknown_, found);
  found->sorted.clear();
  return status;
}

void RunScan::LeaveUnlisted(const std::vector<Entry>& entries,
                            Found* found) const {
  std::set<std::string> tops;
  for (const Candidate& candidate : found->candidates) {
    const std::string path = candidate.path.substr(run_.root().size() + 1);
    tops.insert(path.substr(0, path.find('/')));
  }
  for (const Entry& entry : entries) {
    if (tops.count(entry.name) != 0) continue;
    found->left.Add(entry.is_folder ? WhyAlone::kNotListed : WhyAlone::kFile,
                    entry.name);
  }
}

absl::Status RunScan::JudgeAll(Found* found, const GoOn& go_on) {
  ++looks_;
  absl::Status status = LookAtAll(found, go_on);
  if (!status.ok()) {
    judged_.clear();
    return status;
  }
  ChooseBest(found);
  return absl::OkStatus();
}

absl::Status RunScan::LookAtAll(Found* found, const GoOn& go_on) {
  best_.clear();
  std::vector<Judged> before = std::exchange(judged_, {});
  absl::flat_hash_map<absl::string_view, Judged*> settled;
  for (Judged& judged : before) {
    if (judged.is_settled) settled.emplace(judged.candidate.path, &judged);
  }
  const size_t period = TurnsOf(found->candidates.size());
  const size_t room = found->sorted.empty() ? 0 : kMaxGlanced;
  judged_.reserve(found->candidates.size() + room);
  for (size_t i = 0; i < found->candidates.size(); ++i) {
    absl::Status status = go_on ? go_on() : absl::OkStatus();
    if (!status.ok()) return status;
    Candidate& candidate = found->candidates[i];
    const auto known = settled.find(candidate.path);
    const bool is_known =
        known != settled.end() && candidate.modified_ns != 0 &&
        candidate.modified_ns == known->second->candidate.modified_ns;
    if (is_known && i % period != looks_ % period) {
      Judged& same = judged_.emplace_back(std::move(*known->second));
      settled.erase(known);
      same.candidate = std::move(candidate);
      continue;
    }
    auto judged = LookAt(std::move(candidate), Context());
    if (!judged.has_value()) continue;
    if (is_known && IsSameContent(*known->second, *judged)) {
      judged->is_settled = true;
      judged->told = known->second->told;
    }
    judged_.push_back(*std::move(judged));
  }
  return absl::OkStatus();
}

void RunScan::ChooseBest(Found* found) {
  const Naming naming{run_, step_pattern_, real_root_};
  contested_.clear();
  const auto below_root = [&](const Candidate& candidate) {
    const std::string& root = absl::StartsWith(candidate.path, run_.root())
                                  ? run_.root()
                                  : real_root_;
    return candidate.path.substr(
        std::min(root.size() + 1, candidate.path.size()));
  };
  for (Judged& judged : judged_) {
    const Candidate& candidate = judged.candidate;
    if (judged.is_none) {
      LeaveUnknown(naming, below_root(candidate), candidate.modified_ns,
                   unknown_, found);
      continue;
    }
    const auto [place, is_first] =
        best_.emplace(StepKey{candidate.stage, candidate.step}, &judged);
    if (is_first) continue;
    contested_.insert(place->first);
    Judged* second = &judged;
    if (RankOf(judged) < RankOf(*place->second)) {
      std::swap(second, place->second);
    }
    // A row of a manifest is no entry, nor are two names of one snapshot.
    const bool is_row =
        second->candidate.is_listed && !second->candidate.is_download;
    if (is_row || second->candidate.path == place->second->candidate.path) {
      continue;
    }
    found->left.Add(WhyAlone::kSecond, below_root(second->candidate));
  }
}

absl::StatusOr<std::vector<store::Observation>> RunScan::Look(
    absl::Time now, const GoOn& go_on, const std::vector<StepKey>* but) {
  absl::Status status = ReadConfigured();
  if (!status.ok()) return status;
  auto candidates = FindCandidates();
  if (!candidates.ok()) return candidates.status();
  for (const auto& [path, time] : candidates->listed) names_.Add(path, time);
  size_t names = 0;
  for (const Candidate& candidate : candidates->candidates) {
    names = absl::HashOf(names, candidate.path);
  }
  names_.End(names);
  status = JudgeAll(&*candidates, go_on);
  if (!status.ok()) return status;
  unknown_.NextLook();
  const auto doubted = presence_.Doubted(CountFolders(best_), now);
  NoteStrays(doubted, best_);
  if (best_.empty() && !doubted.empty()) {
    return absl::UnavailableError(doubt());
  }
  due_ = absl::InfiniteFuture();
  Observed found;
  const AsTold as_told = ObserveNews(but, now, found);
  std::vector<const Candidate*> followed;
  for (const auto& [key, judged] : best_)
    followed.push_back(&judged->candidate);
  survey_ = {candidates->left.Report(),
             RootNotes(run_.root(), real_root_, *candidates, followed)};
  SkipUnwanted(as_told, now, found);
  AddVanished(doubted, as_told, found);
  NoteTold();
  NoteUnsettled();
  sorted_ = std::move(candidates->sorted);
  return Readable(std::move(found));
}

std::vector<store::Observation> RunScan::Readable(Observed found) {
  std::vector<store::Observation> observations;
  observations.reserve(found.size());
  for (auto& [key, observation] : found) {
    std::string& reason = observation.reason;
    if (!base::IsUtf8(reason)) reason = base::EscapeBytes(reason);
    observations.push_back(std::move(observation));
  }
  return observations;
}

int RunScan::RankOf(const Judged& judged) const {
  const bool waits =
      !judged.was_listed || judged.verdict.kind == Verdict::Kind::kWaiting;
  int rank = 0;
  if (!judged.candidate.why_bad.empty()) {
    rank = 5;
  } else if (!judged.candidate.why_missing.empty()) {
    rank = 4;
  } else if (judged.verdict.kind == Verdict::Kind::kUnsupported) {
    rank = 3;
  } else if (judged.verdict.refused) {
    rank = 2;
  } else if (waits) {
    rank = 1;
  }
  const auto followed =
      followed_.find({judged.candidate.stage, judged.candidate.step});
  const bool was_followed =
      followed != followed_.end() &&
      followed->second == base::EscapeBytes(judged.candidate.path);
  return 4 * rank + (was_followed ? 0 : 2) +
         (judged.candidate.name.unsharded ? 1 : 0);
}

void RunScan::Observe(Judged& judged, absl::Time now, Observed& found) {
  if (!judged.candidate.why_missing.empty()) {
    return ObserveMissing(judged, found);
  }
  v1::Checkpoint checkpoint = CheckpointOf(judged.candidate);
  const StepKey key = KeyOf(checkpoint);
  followed_[key] = checkpoint.path();
  ended_.erase(key);
  judged.is_settled = false;
  if (judged.verdict.kind == Verdict::Kind::kUnsupported) {
    return ObserveUnsupported(std::move(checkpoint), judged.verdict,
                              judged.verdict.why, found);
  }
  if (!judged.was_listed) {
    found.emplace(key, Unreadable(std::move(checkpoint), judged.status));
    return;
  }
  checkpoint.set_fingerprint(judged.fingerprint);
  const absl::Time since =
      Remember(checkpoint, absl::FromUnixNanos(judged.changed_ns), now);
  const bool late = IsLate(judged, since, now);
  if (late) LookBelow(real_root_, &judged);
  if (late && judged.verdict.kind == Verdict::Kind::kWaiting &&
      judged.verdict.later == Verdict::Kind::kUnsupported) {
    judged.is_settled = true;
    return ObserveUnsupported(std::move(checkpoint), judged.verdict,
                              judged.verdict.why_later, found);
  }
  store::Observation observation = NewObservation(checkpoint);
  observation.reason = WhyNotReady(judged.verdict, late, since, now);
  observation.state =
      observation.reason.empty() ? v1::JOB_STATE_QUEUED : v1::JOB_STATE_WAITING;
  judged.is_settled = observation.reason.empty();
  NoteDue(since + absl::Seconds(run_.quiescence_seconds()), now);
  found.emplace(key, std::move(observation));
}

void RunScan::NoteDue(absl::Time time, absl::Time now) {
  if (time > now) due_ = std::min(due_, time);
}

void RunScan::ObserveMissing(const Judged& judged, Observed& found) {
  v1::Checkpoint checkpoint = CheckpointOf(judged.candidate);
  const StepKey key = KeyOf(checkpoint);
  const auto seen = seen_.find(key);
  const bool is_gone =
      seen != seen_.end() && seen->second.checkpoint.fingerprint() != kMissing;
  // AddVanished says so once; then the step has ended.
  if (is_gone || ended_.count(key) != 0) return;
  checkpoint.set_fingerprint(kMissing);
  seen_[key] = {checkpoint, absl::InfinitePast()};
  store::Observation observation = NewObservation(checkpoint);
  observation.state = v1::JOB_STATE_WAITING;
  observation.reason = judged.candidate.why_missing;
  found.emplace(key, std::move(observation));
}

void RunScan::ObserveUnsupported(v1::Checkpoint checkpoint,
                                 const Verdict& verdict, const std::string& why,
                                 Observed& found) const {
  const StepKey key = KeyOf(checkpoint);
  checkpoint.set_fingerprint(absl::StrCat(kUnsupported, verdict.code));
  store::Observation observation = NewObservation(checkpoint);
  observation.state = v1::JOB_STATE_DEAD;
  observation.outcome = v1::OUTCOME_UNSUPPORTED;
  observation.reason = why;
  found.emplace(key, std::move(observation));
}

bool RunScan::IsLate(const Judged& judged, absl::Time since, absl::Time now) {
  const absl::Time under_way =
      std::min(now, absl::FromUnixNanos(judged.under_way_ns));
  const absl::Time late =
      std::max(since, under_way) + absl::Seconds(run_.grace_seconds());
  if (judged.verdict.kind == Verdict::Kind::kWaiting) {
    NoteDue(late + absl::Nanoseconds(1), now);
  }
  return now > late;
}

std::string RunScan::WhyNotReady(const Verdict& verdict, bool late,
                                 absl::Time since, absl::Time now) const {
  std::string why = verdict.why;
  if (verdict.kind == Verdict::Kind::kComplete ||
      (late && verdict.later == Verdict::Kind::kComplete)) {
    if (now - since >= absl::Seconds(run_.quiescence_seconds())) return "";
    why = absl::StrCat("settling: no change for ", run_.quiescence_seconds(),
                       " s is asked for");
  } else if (late && !verdict.why_later.empty()) {
    why = verdict.why_later;
  }
  if (late) {
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
  if (is_new && unsupported_.erase(place->first) != 0) {
    // Told before the server was started; no time: nothing that counts is
    // there.
    seen.since = std::min(changed, now);
  }
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

v1::Checkpoint RunScan::CheckpointOf(const Candidate& candidate) const {
  v1::Checkpoint checkpoint;
  checkpoint.set_run(run_.name());
  checkpoint.set_stage(candidate.stage);
  checkpoint.set_step(candidate.step);
  checkpoint.set_tokens(candidate.tokens);
  checkpoint.set_path(base::EscapeBytes(candidate.path));
  return checkpoint;
}

store::Observation RunScan::NewObservation(
    const v1::Checkpoint& checkpoint) const {
  store::Observation observation;
  observation.checkpoint = checkpoint;
  observation.model_config = run_.model_config();
  observation.ablation = run_.ablation();
  observation.protocol = run_.protocol();
  observation.probe = probe_;
  observation.dtype = run_.dtype();
  observation.metrics = {run_.metrics().begin(), run_.metrics().end()};
  return observation;
}

}  // namespace sinkwatch::discovery

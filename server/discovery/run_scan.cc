#include "server/discovery/run_scan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/utf8.h"
#include "server/discovery/digest.h"
#include "server/discovery/hub_cache.h"
#include "server/discovery/listing.h"
#include "server/discovery/root_notes.h"
#include "server/discovery/step_folders.h"
#include "server/discovery/step_policy.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kListedEachLook = 500;

StepKey KeyOf(const v1::Checkpoint& checkpoint) {
  return {checkpoint.stage(), checkpoint.step()};
}

// Fingerprints of what has no files to tell it by: of a checkpoint that a list
// names and whose folder is not there, and of one that is not supported,
// whatever its files. They are kinds and codes, so that a better worded reason
// makes no other job of them.
constexpr char kMissing[] = "missing:";
constexpr char kUnsupported[] = "unsupported:";
constexpr char kBadRow[] = "manifest-row";

// Whether it is dead by what was said of it here, and no worker saw it.
bool IsUnsupported(const v1::CheckpointStatus& status) {
  return status.state() == v1::JOB_STATE_DEAD &&
         absl::StartsWith(status.checkpoint().fingerprint(), kUnsupported);
}

// A reason that names files whose names are no text.
std::string Readable(std::string reason) {
  return base::IsUtf8(reason) ? std::move(reason) : base::EscapeBytes(reason);
}

bool IsOpen(v1::JobState state) {
  return state == v1::JOB_STATE_WAITING || state == v1::JOB_STATE_QUEUED ||
         state == v1::JOB_STATE_RETRYING || state == v1::JOB_STATE_SKIPPED;
}

bool IsSame(const Entry& left, const Entry& right) {
  return left.size == right.size && left.modified_ns == right.modified_ns;
}

}  // namespace

RunScan::RunScan(v1::RunConfig run,
                 const std::vector<v1::CheckpointStatus>& known,
                 std::map<std::string, std::string> folders)
    : run_(std::move(run)),
      presence_(base::EscapeBytes(run_.root()),
                absl::Seconds(run_.grace_seconds()), std::move(folders)) {
  for (const v1::CheckpointStatus& status : known) {
    const v1::Checkpoint& checkpoint = status.checkpoint();
    const StepKey key = KeyOf(checkpoint);
    if (status.state() != v1::JOB_STATE_SUPERSEDED) {
      followed_[key] = checkpoint.path();
    }
    if (IsOpen(status.state())) {
      seen_[key] = {checkpoint, absl::InfinitePast()};
    } else if (IsUnsupported(status)) {
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
  probe_ = *std::move(probe);
  if (!run_.model_config().empty()) {
    auto file = LookAtFile(run_.model_config());
    if (!file.ok()) return file.status();
    if (!model_config_.has_value() || !IsSame(*model_config_, *file)) {
      settled_.clear();  // it is in their fingerprints
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
  manifest_ = *std::move(manifest);
  manifest_file_ = *std::move(file);
  return absl::OkStatus();
}

absl::StatusOr<Found> RunScan::FindCandidates() {
  auto real_root = RealPath(run_.root());
  if (!real_root.ok()) return real_root.status();
  real_root_ = *std::move(real_root);
  const auto entries = ListRoot(run_.root(), real_root_);
  if (!entries.ok()) return entries.status();
  Found found;
  absl::Status status = FindIn(*entries, &found);
  if (!status.ok()) return status;
  return found;
}

absl::Status RunScan::FindIn(const std::vector<Entry>& entries, Found* found) {
  if (!run_.manifest().empty()) {
    absl::Status status = FindManifestRows(run_, manifest_, &found->candidates);
    if (status.ok()) LeaveUnlisted(entries, found);
    return status;
  }
  const Naming naming{run_, step_pattern_, real_root_};
  if (!IsHubCache(entries)) {
    return FindStepFolders(naming, entries, unknown_, found);
  }
  auto downloads = DownloadsIn(run_.root());
  if (!downloads.ok()) return downloads.status();
  downloads_ = *std::move(downloads);
  return FindRevisions(naming, found);
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

absl::StatusOr<std::map<StepKey, RunScan::Judged>> RunScan::JudgeAll(
    Found* found, const std::function<absl::Status()>& go_on) {
  std::map<StepKey, Judged> best;
  const size_t period = 1 + found->candidates.size() / kListedEachLook;
  ++looks_;
  const Naming naming{run_, step_pattern_, real_root_};
  const auto below_root = [&](const Candidate& candidate) {
    const std::string& root = absl::StartsWith(candidate.path, run_.root())
                                  ? run_.root()
                                  : real_root_;
    return candidate.path.substr(
        std::min(root.size() + 1, candidate.path.size()));
  };
  for (size_t i = 0; i < found->candidates.size(); ++i) {
    absl::Status status = go_on ? go_on() : absl::OkStatus();
    if (!status.ok()) return status;
    Candidate& candidate = found->candidates[i];
    const StepKey key{candidate.stage, candidate.step};
    auto judged =
        LookAgainAt(std::move(candidate), i % period == looks_ % period);
    if (!judged.has_value()) continue;
    if (judged->is_none) {
      LeaveUnknown(naming, below_root(judged->candidate),
                   judged->candidate.modified_ns, unknown_, found);
      continue;
    }
    const auto place = best.find(key);
    if (place == best.end()) {
      best.emplace(key, *std::move(judged));
      continue;
    }
    if (RankOf(*judged) < RankOf(place->second)) {
      std::swap(*judged, place->second);
    }
    if (judged->candidate.is_listed) continue;  // a row, not an entry
    found->left.Add(WhyAlone::kSecond, below_root(judged->candidate));
  }
  return best;
}

absl::StatusOr<std::vector<store::Observation>> RunScan::Look(
    absl::Time now, const std::function<absl::Status()>& go_on) {
  absl::Status status = ReadConfigured();
  if (!status.ok()) return status;
  auto candidates = FindCandidates();
  if (!candidates.ok()) return candidates.status();
  const auto judged = JudgeAll(&*candidates, go_on);
  if (!judged.ok()) return judged.status();
  const std::map<StepKey, Judged>& best = *judged;
  unknown_.NextLook();
  const auto doubted = presence_.Doubted(CountFolders(best), now);
  NoteStrays(doubted, best);
  if (best.empty() && !doubted.empty()) {
    return absl::UnavailableError(doubt());
  }
  Observed found;
  for (const auto& [key, judged] : best) Observe(judged, now, found);
  std::vector<const Candidate*> followed;
  for (const auto& [key, judged] : best) followed.push_back(&judged.candidate);
  survey_ = {candidates->left.Report(),
             RootNotes(run_.root(), real_root_, *candidates, followed)};
  SkipUnwanted(found);
  AddVanished(doubted, found);
  std::vector<store::Observation> observations;
  observations.reserve(found.size());
  for (auto& [key, observation] : found) {
    observation.reason = Readable(std::move(observation.reason));
    observations.push_back(std::move(observation));
  }
  return observations;
}

std::optional<RunScan::Judged> RunScan::LookAgainAt(Candidate candidate,
                                                    bool in_turn) const {
  const auto settled = settled_.find(candidate.path);
  if (in_turn || settled == settled_.end() || candidate.modified_ns == 0 ||
      candidate.modified_ns != settled->second.candidate.modified_ns) {
    return LookAt(std::move(candidate));
  }
  Judged judged = settled->second;
  judged.candidate = std::move(candidate);
  return judged;
}

std::optional<RunScan::Judged> RunScan::LookAt(Candidate candidate) const {
  Judged judged;
  judged.candidate = std::move(candidate);
  if (!judged.candidate.why_bad.empty()) {
    judged.verdict.kind = Verdict::Kind::kUnsupported;
    judged.verdict.why = judged.candidate.why_bad;
    judged.verdict.code = kBadRow;
    return judged;
  }
  if (!judged.candidate.why_missing.empty()) return judged;
  if (const auto& file = judged.candidate.file) {
    judged.verdict = JudgeFile(file->name);
    judged.fingerprint = FingerprintOfFile(*file);
    judged.changed_ns = file->modified_ns;
    judged.was_listed = true;
    return judged;
  }
  auto listing = ListCheckpoint(judged.candidate.path, real_root_);
  judged.status = listing.status();
  if (absl::IsNotFound(listing.status())) {
    if (!judged.candidate.is_listed) return std::nullopt;  // gone since
    judged.candidate.why_missing =
        absl::StrCat("not there yet: ", judged.candidate.path);
    return judged;
  }
  if (!listing.ok()) return judged;
  MarkDownloads(downloads_, &*listing);
  return LookAtFolder(std::move(judged), *std::move(listing));
}

RunScan::Judged RunScan::LookAtFolder(Judged judged, Listing listing) const {
  const Subject subject{judged.candidate.name, std::move(listing),
                        model_config_.has_value(),
                        judged.candidate.is_download};
  const Layout* const layout = FindLayout(subject);
  judged.is_none = layout == nullptr;
  if (judged.is_none) return judged;
  judged.verdict = Judge(*layout, subject);
  judged.fingerprint = Fingerprint(
      subject.listing, model_config_.has_value() ? &*model_config_ : nullptr);
  judged.changed_ns = LatestChange(subject.listing);
  judged.under_way_ns = LatestUnderWay(subject.listing);
  judged.was_listed = true;
  return judged;
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

void RunScan::Observe(const Judged& judged, absl::Time now, Observed& found) {
  if (!judged.candidate.why_missing.empty()) {
    return ObserveMissing(judged, found);
  }
  v1::Checkpoint checkpoint = CheckpointOf(judged.candidate);
  const StepKey key = KeyOf(checkpoint);
  followed_[key] = checkpoint.path();
  ended_.erase(key);
  settled_.erase(judged.candidate.path);
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
  if (late && judged.verdict.kind == Verdict::Kind::kWaiting &&
      judged.verdict.later == Verdict::Kind::kUnsupported) {
    settled_[judged.candidate.path] = judged;
    return ObserveUnsupported(std::move(checkpoint), judged.verdict,
                              judged.verdict.why_later, found);
  }
  store::Observation observation = NewObservation(checkpoint);
  observation.reason = WhyNotReady(judged.verdict, late, since, now);
  observation.state =
      observation.reason.empty() ? v1::JOB_STATE_QUEUED : v1::JOB_STATE_WAITING;
  if (observation.reason.empty()) settled_[judged.candidate.path] = judged;
  found.emplace(key, std::move(observation));
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

bool RunScan::IsLate(const Judged& judged, absl::Time since,
                     absl::Time now) const {
  const absl::Time under_way =
      std::min(now, absl::FromUnixNanos(judged.under_way_ns));
  return now - std::max(since, under_way) > absl::Seconds(run_.grace_seconds());
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

void RunScan::SkipUnwanted(Observed& found) const {
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
      observation.outcome = v1::OUTCOME_UNSPECIFIED;
      observation.reason = "left out by the run's step policy";
    }
  }
}

std::map<std::string, Presence::Folder> RunScan::CountFolders(
    const std::map<StepKey, Judged>& best) const {
  const std::string root = base::EscapeBytes(run_.root());
  std::map<std::string, Presence::Folder> folders;
  const auto is_there = [&](const StepKey& key) {
    const auto place = best.find(key);
    return place != best.end() && place->second.candidate.why_missing.empty() &&
           place->second.candidate.why_bad.empty();
  };
  for (const auto& [key, judged] : best) {
    if (!is_there(key)) continue;
    const std::string path = base::EscapeBytes(judged.candidate.path);
    const auto followed = followed_.find(key);
    const bool is_known = followed != followed_.end() &&
                          followed->second == path && strays_.count(path) == 0;
    for (const std::string& parent : {ParentOf(path), root}) {
      folders[parent].has_any = true;
      folders[parent].has_known |= is_known;
    }
  }
  for (const auto& [key, seen] : seen_) {
    if (is_there(key) || seen.checkpoint.fingerprint() == kMissing) continue;
    ++folders[ParentOf(seen.checkpoint.path())].gone;
  }
  return folders;
}

void RunScan::NoteStrays(const std::set<std::string>& doubted,
                         const std::map<StepKey, Judged>& best) {
  strays_.clear();
  if (doubted.empty()) return;
  for (const auto& [key, judged] : best) {
    const std::string path = base::EscapeBytes(judged.candidate.path);
    if (doubted.count(ParentOf(path)) != 0) strays_.insert(path);
  }
}

void RunScan::AddVanished(const std::set<std::string>& doubted,
                          Observed& found) {
  for (auto place = seen_.begin(); place != seen_.end();) {
    const StepKey key = place->first;
    if (found.count(key) != 0 ||
        (place->second.checkpoint.fingerprint() != kMissing &&
         doubted.count(ParentOf(place->second.checkpoint.path())) != 0)) {
      ++place;
      continue;
    }
    store::Observation gone = NewObservation(place->second.checkpoint);
    gone.state = v1::JOB_STATE_VANISHED;
    gone.reason = gone.checkpoint.fingerprint() == kMissing
                      ? "not listed any more"
                      : "deleted before it was measured";
    found.emplace(key, std::move(gone));
    settled_.erase(base::UnescapeBytes(place->second.checkpoint.path()));
    followed_.erase(key);
    ended_.insert(key);
    place = seen_.erase(place);
  }
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
  observation.probe = probe_;
  observation.dtype = run_.dtype();
  observation.metrics = {run_.metrics().begin(), run_.metrics().end()};
  return observation;
}

}  // namespace sinkwatch::discovery

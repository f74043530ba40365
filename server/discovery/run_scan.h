#ifndef SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_
#define SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/discovery/candidates.h"
#include "server/discovery/layout.h"
#include "server/discovery/left_alone.h"
#include "server/discovery/manifest.h"
#include "server/discovery/presence.h"
#include "server/discovery/unknown_folder.h"
#include "server/name_pattern.h"
#include "server/store/store.h"
#include "sinkwatch/v1/checkpoint.pb.h"
#include "sinkwatch/v1/config.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::discovery {

// (stage, step) of a checkpoint.
using StepKey = std::pair<std::string, int64_t>;

// Follows one run's root from look to look. A checkpoint is ready when its
// folder is whole (layout.h) and has settled: neither by the times of its files
// nor from one look to the next has it changed for the run's quiescence.
//
// Of many folders, those that have settled are not all listed at each look: 500
// are in turn, and of the others only those whose own time has changed. A file
// that is rewritten in its place is then seen after (number of folders / 500)
// looks.
//
// Several folders may hold one (stage, step): step5 and step5-unsharded. One of
// them is followed: a whole one that workers read before one that is waited
// for, that before one that is not supported; among equals the one that was
// followed before, then the sharded one (as the OLMo trainer prefers it), then
// the first by name. A bad row of a manifest is what there is of a step that
// nothing else names.
//
// What waits and does not change for the grace time is looked at once more: it
// is measured if all that is missing is what a model does without, it is dead
// if it is of a format that is not read (foreign_format.h), and else waits on,
// with what is there in its reason.
//
// Thread-compatible.
class RunScan {
 public:
  // `known` is what the store has of the run, so that a checkpoint that was
  // deleted while nobody looked is noticed, and none is waited for that has
  // ended. `folders` is what folders() was then.
  RunScan(v1::RunConfig run, const std::vector<v1::CheckpointStatus>& known,
          std::map<std::string, std::string> folders = {});

  // One look: what the store should know of every checkpoint under the root,
  // and of those that are gone. An error says nothing about any checkpoint: the
  // root is not there, or has none where checkpoints were and is not known to
  // be the folder that it was (presence.h; a mount that is away leaves either),
  // a stage folder, the probe, the manifest or the model configuration cannot
  // be read. A step folder that cannot be read waits, and is not gone. `go_on`,
  // if any, is asked before each folder is looked at; its error ends the look.
  absl::StatusOr<std::vector<store::Observation>> Look(
      absl::Time now, const std::function<absl::Status()>& go_on = {});

  // Why what the last look did not find was not taken for deleted, or not all
  // of it; empty if it was.
  const std::string& doubt() const { return presence_.doubt(); }
  // Which folders the checkpoints lie in: what a restart should know.
  const std::map<std::string, std::string>& folders() const {
    return presence_.identities();
  }

  // What the last look that succeeded left alone, and what a person should know
  // of the root.
  const Survey& survey() const { return survey_; }

 private:
  using Observed = std::map<StepKey, store::Observation>;

  struct Seen {
    v1::Checkpoint checkpoint;
    absl::Time since;  // it has been as it is; InfinitePast: since the last run
  };
  // A candidate after a look at its folder.
  struct Judged {
    Candidate candidate;
    bool was_listed = false;  // not: the folder is not there, cannot be read,
    absl::Status status;      // or is that of a bad row
    bool is_none = false;     // no checkpoint at all
    Verdict verdict;
    std::string fingerprint;
    int64_t changed_ns = 0;    // the latest time of its files
    int64_t under_way_ns = 0;  // of files that are on the way to be some
  };

  // The files that the configuration names: probe, manifest, model_config.
  absl::Status ReadConfigured();
  absl::StatusOr<Found> FindCandidates();
  // What is under a root that a manifest or a cache does not speak for.
  absl::Status FindIn(const std::vector<Entry>& entries, Found* found);
  void LeaveUnlisted(const std::vector<Entry>& entries, Found* found) const;
  // The best folder of each step; the others are left alone.
  absl::StatusOr<std::map<StepKey, Judged>> JudgeAll(
      Found* found, const std::function<absl::Status()>& go_on);
  // None: it is gone since.
  std::optional<Judged> LookAt(Candidate candidate) const;
  Judged LookAtFolder(Judged judged, Listing listing) const;
  // The same, out of `settled_` where nothing says that it changed.
  std::optional<Judged> LookAgainAt(Candidate candidate, bool in_turn) const;
  // Smaller is better.
  int RankOf(const Judged& judged) const;
  void Observe(const Judged& judged, absl::Time now, Observed& found);
  void ObserveMissing(const Judged& judged, Observed& found);
  // What is not supported ends as dead, under a fingerprint of its code.
  void ObserveUnsupported(v1::Checkpoint checkpoint, const Verdict& verdict,
                          const std::string& why, Observed& found) const;
  // Remembers what was seen, and since when it has been so. `changed` is what
  // the files' own times say.
  absl::Time Remember(const v1::Checkpoint& checkpoint, absl::Time changed,
                      absl::Time now);
  // Whether nothing has changed for the grace time.
  bool IsLate(const Judged& judged, absl::Time since, absl::Time now) const;
  // Why a checkpoint that is as it is since `since` is not ready; empty if it
  // is.
  std::string WhyNotReady(const Verdict& verdict, bool late, absl::Time since,
                          absl::Time now) const;
  // What is known of a folder that is there but cannot be read.
  store::Observation Unreadable(v1::Checkpoint checkpoint,
                                const absl::Status& status) const;
  void SkipUnwanted(Observed& found) const;
  // The folders that what is gone was in, and those of what is there.
  std::map<std::string, Presence::Folder> CountFolders(
      const std::map<StepKey, Judged>& best) const;
  // Nothing that is in a doubted folder vouches for it.
  void NoteStrays(const std::set<std::string>& doubted,
                  const std::map<StepKey, Judged>& best);
  // But for what was in one of the folders `doubted`.
  void AddVanished(const std::set<std::string>& doubted, Observed& found);
  v1::Checkpoint CheckpointOf(const Candidate& candidate) const;
  store::Observation NewObservation(const v1::Checkpoint& checkpoint) const;

  const v1::RunConfig run_;
  v1::Probe probe_;
  std::optional<Entry> model_config_;
  std::optional<Entry> manifest_file_;  // as it was when it was read
  Manifest manifest_;
  // The run's step_pattern, or why it is none.
  absl::Status pattern_status_;
  std::optional<server::NamePattern> step_pattern_;
  std::string real_root_;
  UnknownFolders unknown_;
  Survey survey_;
  std::set<std::string> downloads_;  // hashes, in a download cache
  // By path: folders that need no look as long as their own times stay.
  std::map<std::string, Judged> settled_;
  size_t looks_ = 0;
  Presence presence_;
  std::set<std::string> strays_;  // paths in doubted folders
  std::map<StepKey, Seen> seen_;
  std::map<StepKey, std::string> followed_;  // path, as long as it is known
  // Steps that need not be waited for if their folder is not there.
  std::set<StepKey> ended_;
  // Those that were not supported when the server was started.
  std::set<StepKey> unsupported_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_

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
#include "server/discovery/judged.h"
#include "server/discovery/left_alone.h"
#include "server/discovery/manifest.h"
#include "server/discovery/presence.h"
#include "server/discovery/step_folders.h"
#include "server/discovery/stillness.h"
#include "server/discovery/unknown_folder.h"
#include "server/name_pattern.h"
#include "server/store/store.h"
#include "sinkwatch/v1/checkpoint.pb.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::discovery {

// The fingerprint of a checkpoint that a list names and whose folder is not
// there.
inline constexpr char kMissing[] = "missing:";

// Folders that glances may find until a look goes through them all.
inline constexpr size_t kMaxGlanced = 1000;

// (stage, step) of a checkpoint.
using StepKey = std::pair<std::string, int64_t>;

// Follows one run's root from look to look. A checkpoint is ready when its
// folder is whole (layout.h) and has settled: neither by the times of its files
// nor from one look to the next has it changed for the run's quiescence.
//
// Of many folders, those that have settled are not all listed at each look: 500
// are in turn, and of the others only those whose own time has changed. A file
// that is rewritten in its place is then seen after (number of folders / 500)
// looks. Even that much is asked only where something may have changed: IsStill
// finds out by few calls.
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
  RunScan(v1::RunConfig run, const std::vector<store::JobRecord>& known,
          std::map<std::string, std::string> folders = {});

  // One look: what the store should know of every checkpoint under the root,
  // and of those that are gone. An error says nothing about any checkpoint: the
  // root is not there, or has none where checkpoints were and is not known to
  // be the folder that it was (presence.h; a mount that is away leaves either),
  // a stage folder, the probe, the manifest or the model configuration cannot
  // be read. A step folder that cannot be read waits, and is not gone. `go_on`,
  // if any, is asked before each folder is looked at; its error ends the look.
  // With `but`, what is as the last look that succeeded told it is left out,
  // but for those steps: of a plain root of many folders, nearly all.
  using GoOn = std::function<absl::Status()>;
  absl::StatusOr<std::vector<store::Observation>> Look(
      absl::Time now, const GoOn& go_on = {},
      const std::vector<StepKey>* but = nullptr);

  // What little work tells. `has_news`: there is something that was not told.
  struct Glimpse {
    bool has_news = false;
    std::vector<store::Observation> seen;
  };
  // A glance: of a plain root of more than 500 folders, of which at most 500
  // have not settled, the names that have come into the root and into its stage
  // folders since the last look or glance, if their own times have changed, and
  // what has not settled. What it cannot sort (links, files, what is gone, a
  // second folder of a step) is left to the next look, which IsStill then asks
  // for. With the steps of `but`, as Look. None where only a look tells. Not
  // after a look that failed. Errors: go_on's; as Look of a folder that has
  // come.
  absl::StatusOr<std::optional<Glimpse>> Glance(const std::vector<StepKey>& but,
                                                absl::Time now,
                                                const GoOn& go_on = {});

  // Whether a look would find what the last one found, as far as this can be
  // told without one: of more than 500 folders under a plain root, whose names
  // have not changed by the times of the root and of its stage folders, it asks
  // 5,000 in turn for their own times and lists 500 in turn, those that have
  // not settled first. False at each 32nd call at the latest. Errors: go_on's.
  absl::StatusOr<bool> IsStill(absl::Time now, const GoOn& go_on = {});

  // What the last look found of some steps, if it did.
  std::vector<store::Observation> Again(const std::vector<StepKey>& steps,
                                        absl::Time now);

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
  // The followed folder of each step, among judged_.
  using Best = std::map<StepKey, Judged*>;
  // Steps that are as they were told, in order; keys of best_.
  using AsTold = std::vector<const StepKey*>;

  // The files that the configuration names: probe, manifest, model_config.
  // Notes whether one is other than it was.
  absl::Status ReadConfigured();
  absl::StatusOr<Found> FindCandidates();
  // What is under a root that a manifest or a cache does not speak for.
  absl::Status FindIn(const std::vector<Entry>& entries, Found* found);
  void LeaveUnlisted(const std::vector<Entry>& entries, Found* found) const;
  // Looks at the folders and finds the best one of each step; the others are
  // left alone.
  absl::Status JudgeAll(Found* found, const GoOn& go_on);
  absl::Status LookAtAll(Found* found, const GoOn& go_on);
  void ChooseBest(Found* found);
  LookContext Context() const {
    return {real_root_, downloads_, model_config_};
  }
  // What may have changed of the folders, but for their names.
  absl::StatusOr<bool> TimesAreStill(const GoOn& go_on);
  absl::StatusOr<bool> ListsAreStill(const GoOn& go_on);
  absl::StatusOr<bool> IsStillAsJudged(size_t place, const GoOn& go_on);
  void NoteUnsettled();
  // In how many looks each of so many settled folders is listed once.
  static size_t TurnsOf(size_t folders);
  Naming NamesHere() { return {run_, step_pattern_, real_root_, &read_names_}; }
  bool CanGlance();
  // Places in judged_ of what may be a checkpoint and has not settled.
  std::vector<size_t> Waiting() const;
  absl::Status FindNewNames(const GoOn& go_on, Found* found);
  // Both: whether there is news.
  absl::StatusOr<bool> JudgeNew(Found* found, const GoOn& go_on);
  absl::StatusOr<bool> JudgeAgain(const std::vector<size_t>& places,
                                  const GoOn& go_on);
  bool Replace(Judged& judged, Judged again);
  // Follows it, if nothing else is of its step.
  bool Follow(Judged& judged);
  void ObserveWaiting(absl::Time now, Observed& found);
  void ObserveAsked(const std::vector<StepKey>& steps, absl::Time now,
                    Observed& found);
  // Notes that what was observed changes by itself at a time.
  void NoteDue(absl::Time time, absl::Time now);
  // Smaller is better.
  int RankOf(const Judged& judged) const;
  void Observe(Judged& judged, absl::Time now, Observed& found);
  void ObserveMissing(const Judged& judged, Observed& found);
  // What is not supported ends as dead, under a fingerprint of its code.
  void ObserveUnsupported(v1::Checkpoint checkpoint, const Verdict& verdict,
                          const std::string& why, Observed& found) const;
  // Remembers what was seen, and since when it has been so. `changed` is what
  // the files' own times say.
  absl::Time Remember(const v1::Checkpoint& checkpoint, absl::Time changed,
                      absl::Time now);
  // Whether nothing has changed for the grace time.
  bool IsLate(const Judged& judged, absl::Time since, absl::Time now);
  // Why a checkpoint that is as it is since `since` is not ready; empty if it
  // is.
  std::string WhyNotReady(const Verdict& verdict, bool late, absl::Time since,
                          absl::Time now) const;
  // What is known of a folder that is there but cannot be read.
  store::Observation Unreadable(v1::Checkpoint checkpoint,
                                const absl::Status& status) const;
  // Their reasons may name files whose names are no text.
  static std::vector<store::Observation> Readable(Observed found);
  // Observes what is not as it was told, or is one of `but` (null: all).
  AsTold ObserveNews(const std::vector<StepKey>* but, absl::Time now,
                     Observed& found);
  static bool Has(const AsTold& steps, const StepKey& key);
  // Whether the policy of steps leaves none out, as nearly always.
  bool WantsAll() const;
  // Of steps that are as they were told, those are observed that it touches.
  void SkipUnwanted(const AsTold& as_told, absl::Time now, Observed& found);
  static void Skip(store::Observation& observation);
  // The folders that what is gone was in, and those of what is there.
  std::map<std::string, Presence::Folder> CountFolders(const Best& best) const;
  // Nothing that is in a doubted folder vouches for it.
  void NoteStrays(const std::set<std::string>& doubted, const Best& best);
  // But for what was in one of the folders `doubted`.
  void AddVanished(const std::set<std::string>& doubted, const AsTold& as_told,
                   Observed& found);
  void NoteTold();
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
  ReadNames read_names_;
  // Of the last look, in its order.
  std::vector<Judged> judged_;
  Best best_;
  std::vector<size_t> unsettled_;  // places in judged_
  std::set<StepKey> skipped_;
  size_t looks_ = 0;
  int64_t told_ = 0;  // looks that succeeded
  // Steps of several folders.
  std::set<StepKey> contested_;
  // What glances and IsStill go by.
  std::map<std::string, SortedFolder> sorted_;
  bool wants_look_ = false;  // a glance has seen what it cannot sort
  Stillness names_;
  bool is_changed_ = true;  // what the configuration names
  absl::Time due_;          // when it changes by itself
  int still_looks_ = 0;
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

#ifndef SINKWATCH_SERVER_DISCOVERY_FOLLOWED_RUN_H_
#define SINKWATCH_SERVER_DISCOVERY_FOLLOWED_RUN_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/discovery/left_alone.h"
#include "server/discovery/run_scan.h"
#include "server/store/store.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::discovery {

// A run from look to look: what its root shows, and what the store was told of
// it. The root may hold runs instead of checkpoints (runs_below.h). A look is
// Prepare, Look and Tell, one after the other; only Look touches the file
// system of the run, which may never answer, and only the other two touch the
// store.
//
// Thread-compatible, but for Stop and Silence.
class FollowedRun {
 public:
  explicit FollowedRun(v1::RunConfig run) : run_(std::move(run)) {}

  const v1::RunConfig& run() const { return run_; }

  // Reads what the store has of the run, the first time.
  absl::Status Prepare(store::Store& store);
  // Looks at the root, as far as anything may have changed there. Codes as
  // RunScan::Look; CANCELLED after Stop.
  absl::Status Look(absl::Time now);
  // Tells the store what has changed since it was told last. CANCELLED after
  // Stop, with a part of it told: the rest is told after the next look.
  // UNAVAILABLE if all was told and something of what is gone may not have been
  // deleted (presence.h).
  absl::Status Tell(store::Store& store);

  // What the last look left alone under the root, and the runs that it found
  // below it.
  const Survey& survey() const { return survey_; }
  const std::vector<v1::RunConfig>& runs_below() const { return runs_below_; }

  // How long the next look should wait at least, so that looks at a large root
  // are 1.25 % of a core: nothing as long as they took .25 s of CPU time
  // more than that, then as long as it takes to be so again, up to a minute. A
  // look that was much news starts anew. Where glances tell what is new they
  // have a share of their own, up to ten seconds apart, and only the rest of a
  // look waits.
  absl::Duration Pause() const;

  // Ends a look that is under way at the next folder or at the next group of
  // observations.
  void Stop() { stopped_ = true; }
  // How long the file system has not answered the look that is under way; zero
  // if there is none.
  absl::Duration Silence() const;

 private:
  absl::Status LookForRuns();
  absl::Status LookForSteps(absl::Time now);
  // Casts a glance, if one tells anything: seen_ is what it saw. Whether it is
  // enough.
  absl::StatusOr<bool> Glance(absl::Time now);
  // Adds to seen_ what more there is.
  absl::Status LookThrough(bool knows, absl::Time now);
  // CANCELLED after Stop.
  absl::Status GoOn();
  void NoteCost(absl::Duration cpu);
  absl::Duration DebtNow() const;
  // Keeps what the look left alone, and logs what was not left alone before.
  void NoteSurvey(const Survey& survey);
  // Somebody answered: when, on a steady clock.
  void Hear();
  absl::Status TellNews(store::Store& store);
  absl::Status KeepFolders(store::Store& store);

  const v1::RunConfig run_;
  std::unique_ptr<RunScan> scan_;
  std::vector<store::Observation> seen_;
  Survey survey_;
  std::vector<v1::RunConfig> runs_below_;
  // What the store was told last of each step, in short: it is told what has
  // changed, and what its own state may make news of.
  using Told = std::map<StepKey, size_t>;
  Told told_;
  std::vector<StepKey> again_;  // of those, what its own state may
  bool is_partial_ = false;     // seen_ is of again_ and of what is new
  bool is_told_ = false;        // all of the last look
  absl::Duration debt_;         // CPU time above 1.25 % of a core
  int64_t noted_ns_ = 0;        // when debt_ was that
  absl::Time looked_ = absl::InfinitePast();  // more than a glance
  // What the last glance took; none: there was none.
  std::optional<absl::Duration> glance_;
  std::map<std::string, std::string> folders_;  // as the store has them
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> heard_ns_{0};  // 0: no look is under way
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_FOLLOWED_RUN_H_

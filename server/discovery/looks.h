#ifndef SINKWATCH_SERVER_DISCOVERY_LOOKS_H_
#define SINKWATCH_SERVER_DISCOVERY_LOOKS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/base/mutex.h"
#include "server/discovery/followed_run.h"
#include "server/discovery/watcher.h"

namespace sinkwatch::discovery {

// What a watcher's threads share: who looks at which run, and when. Lives until
// the last of them has ended, which may be after the watcher. Thread-safe.
class Looks {
 public:
  Looks(store::Store* store, WatcherOptions options)
      : store_(store), options_(std::move(options)) {}

  void SetRuns(const std::vector<v1::RunConfig>& runs);
  // `self` is what the threads keep alive.
  void Start(const std::shared_ptr<Looks>& self);
  void Stop(absl::Duration patience);
  void LookOnce();
  std::string ErrorOf(const std::string& run) const;
  Survey SurveyOf(const std::string& run) const;

 private:
  using SteadyClock = std::chrono::steady_clock;
  using RunPtr = std::shared_ptr<FollowedRun>;
  struct Place {
    RunPtr run;
    SteadyClock::time_point due;  // for its next look
    std::string error;            // of the last one
    Survey survey;                // of the last one that succeeded
  };

  // Sees to it that there are threads that look, until Stop.
  void Tend(const std::shared_ptr<Looks>& self);
  void StartThreads(const std::shared_ptr<Looks>& self)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Throws what making a thread throws; those made before stay.
  void AddThreads(const std::shared_ptr<Looks>& self)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How many are silent; adds who has become so.
  int NoteSilence(std::vector<RunPtr>& news)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void JoinEnded() ABSL_LOCKS_EXCLUDED(mutex_);

  // A thread: looks until there are too many of its kind.
  void Work(int64_t id) ABSL_LOCKS_EXCLUDED(mutex_);
  RunPtr WaitForNext() ABSL_LOCKS_EXCLUDED(mutex_);
  void LookAt(const RunPtr& run) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Look(const RunPtr& run) ABSL_LOCKS_EXCLUDED(mutex_);
  // Runs `body`, which may touch the store and what the options call; Stop
  // waits for it. CANCELLED, and does not, if the run is not followed any more.
  template <typename Body>
  absl::Status IfFollowed(const RunPtr& run, const Body& body)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteResult(const RunPtr& run, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mutex_);

  bool IsSilent(const FollowedRun& run) const {
    return run.Silence() > options_.patience;
  }
  int CountStalled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Threads that wait or whose look is answered.
  int CountAble() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(threads_.size()) - CountStalled();
  }
  // How many of these there should be: while looks stall, as many more as
  // stall, so that hundreds of runs whose file system is gone do not hold the
  // others up for long.
  int Wanted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsFollowed(const RunPtr& run) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  store::Store* const store_;
  const WatcherOptions options_;

  mutable base::Mutex mutex_;
  base::CondVar work_changed_;     // for those who look for a run
  base::CondVar threads_changed_;  // for the tender and for Stop
  std::map<std::string, Place> places_ ABSL_GUARDED_BY(mutex_);
  // Whom somebody looks at, also who is not followed any more.
  std::set<RunPtr> busy_ ABSL_GUARDED_BY(mutex_);
  std::set<RunPtr> silent_ ABSL_GUARDED_BY(mutex_);  // as noted last
  std::map<int64_t, std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> ended_ ABSL_GUARDED_BY(mutex_);
  int telling_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread tender_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LOOKS_H_

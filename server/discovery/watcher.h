#ifndef SINKWATCH_SERVER_DISCOVERY_WATCHER_H_
#define SINKWATCH_SERVER_DISCOVERY_WATCHER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/base/mutex.h"
#include "server/discovery/run_scan.h"
#include "server/store/store.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::discovery {

struct WatcherOptions {
  absl::Duration poll = absl::Seconds(2);
  store::Clock clock = absl::Now;
  // Told after each look at a run: its name, and OK or why it failed.
  std::function<void(const std::string&, const absl::Status&)> on_look;
  // Told the runs that lie below the root of a run, after each look at it.
  std::function<absl::Status(const std::string&,
                             const std::vector<v1::RunConfig>&)>
      on_runs;
};

// Looks at every run's root in turn, again and again, and tells the store what
// is there. Polls, because network file systems tell nobody about changes.
//
// Thread-safe. Owns one thread between Start and Stop.
class Watcher {
 public:
  // `store` must outlive it.
  Watcher(store::Store* store, WatcherOptions options);
  ~Watcher();

  // From the next look on, follows just these runs.
  void SetRuns(const std::vector<v1::RunConfig>& runs);

  void Start();
  // Idempotent; waits for the look that is under way.
  void Stop();

  // One look at every run, in the caller's thread.
  void LookOnce();

  // Why the run could not be looked at last time; empty if it could.
  std::string ErrorOf(const std::string& run) const;

  // What the last look that succeeded left alone under the run's root.
  Survey SurveyOf(const std::string& run) const;

 private:
  // A run from look to look.
  struct Followed {
    std::unique_ptr<RunScan> scan;
    // What the store was told last of each step, in short: it is told what has
    // changed, and what its own state may make news of.
    std::map<StepKey, std::string> told;
  };

  void Loop();
  absl::Status LookAt(const v1::RunConfig& run, Followed& followed);
  absl::StatusOr<std::unique_ptr<RunScan>> NewScan(const v1::RunConfig& run);
  // A root that holds runs: they come back through SetRuns.
  absl::Status LookForRuns(const v1::RunConfig& run);
  // Keeps what a look left alone, and logs what it had not left alone before.
  void TellSurvey(const std::string& run, const Survey& survey);

  store::Store* const store_;
  const WatcherOptions options_;

  base::Mutex look_mutex_;  // one look at a time
  std::map<std::string, Followed> followed_ ABSL_GUARDED_BY(look_mutex_);

  mutable base::Mutex mutex_;
  base::CondVar stopping_changed_;
  std::vector<v1::RunConfig> runs_ ABSL_GUARDED_BY(mutex_);
  bool runs_changed_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::string> errors_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Survey> surveys_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_WATCHER_H_

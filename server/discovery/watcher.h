#ifndef SINKWATCH_SERVER_DISCOVERY_WATCHER_H_
#define SINKWATCH_SERVER_DISCOVERY_WATCHER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/discovery/left_alone.h"
#include "server/store/store.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::discovery {

class Looks;

struct WatcherOptions {
  absl::Duration poll = absl::Seconds(2);
  // By which checkpoints settle: the store's, unless a test has its own.
  store::Clock clock;
  // Looks that are under way at once, those that nobody answers not counted.
  int threads = 4;
  // A file system that has not answered for so long is said to be silent.
  absl::Duration patience = absl::Seconds(10);
  // Told after each look at a run: its name, and OK or why it failed.
  std::function<void(const std::string&, const absl::Status&)> on_look;
  // Told the runs that lie below the root of a run, after each look at it.
  std::function<absl::Status(const std::string&,
                             const std::vector<v1::RunConfig>&)>
      on_runs;
  // Told when another number of runs is silent than before.
  std::function<void(int)> on_silence;
};

// Looks at every run's root, again and again, and tells the store what is
// there. Polls, because network file systems tell nobody about changes.
//
// A file system may never answer, and its caller cannot be woken. Then the run
// says so (ErrorOf), its thread is given up, and another one takes its place,
// so that no run waits for another's file system. A thread that is given up
// holds nothing but the run's own memory; when it is answered after all, it
// goes on if the run is still followed, and else ends without a word. If it
// never is, it ends with the process: Stop does not wait for it.
//
// Thread-safe. `store` and what the options call are not touched any more once
// Stop has returned.
class Watcher {
 public:
  Watcher(store::Store* store, WatcherOptions options);
  // As Stop, with a second for looks that are under way.
  ~Watcher();

  // From the next look on, follows just these runs. Those that are as they were
  // go on; one that was changed begins anew, whoever still looks at it as it
  // was.
  void SetRuns(const std::vector<v1::RunConfig>& runs);

  void Start();
  // Idempotent. Waits for what is being told to the store, and up to `patience`
  // for looks that are under way.
  void Stop(absl::Duration patience);

  // One look at every run, in the caller's thread. Not beside Start.
  void LookOnce();

  // Why the run could not be looked at last time, or that it is silent; empty
  // if it could.
  std::string ErrorOf(const std::string& run) const;

  // What the last look that succeeded left alone under the run's root.
  Survey SurveyOf(const std::string& run) const;

 private:
  // Shared with the threads that look.
  std::shared_ptr<Looks> looks_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_WATCHER_H_

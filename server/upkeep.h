#ifndef SINKWATCH_SERVER_UPKEEP_H_
#define SINKWATCH_SERVER_UPKEEP_H_

#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "proto/base/mutex.h"

namespace sinkwatch::server {

struct UpkeepOptions {
  // Something that must be so for the server to do its work, looked at every
  // `interval`.
  struct Check {
    std::string what;  // "gRPC port": what the reason begins with
    std::function<absl::Status()> look;
    std::chrono::milliseconds interval{5000};
    // If it was wrong for so long without a break, `on_lost` is told; 0: never.
    std::chrono::milliseconds lost_after{0};
  };
  std::vector<Check> checks;
  // A look that takes longer is wrong already: a disk may never answer.
  std::chrono::milliseconds patience{10000};
  // Done every `tidy_interval`.
  std::function<void()> tidy;
  std::chrono::milliseconds tidy_interval{10000};
  // Told, on the thread, what is wrong: OK when nothing is any more.
  std::function<void(const absl::Status&)> on_change;
  std::function<void(const absl::Status&)> on_lost;
};

// Looks after a running server, on one thread: whether it can do its work, and
// what has to be done now and then. No exception leaves it.
class Upkeep {
 public:
  // Looks at everything once, then goes on by itself.
  explicit Upkeep(UpkeepOptions options);
  ~Upkeep();

  // The first thing that is wrong; OK if nothing is. Of a look that is under
  // way for longer than patience: for how long. Thread-safe.
  absl::Status Why() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct State {
    Time next;
    Time wrong_since;
    absl::Status status;
  };

  void Loop();
  bool WaitUntil(Time turn);
  void LookAt(size_t i);
  void SetBusy(const UpkeepOptions::Check* check);
  void Tell();

  const UpkeepOptions options_;
  std::vector<State> states_;  // one per check; the thread's
  Time next_tidy_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  // What is looked at now, and since when; null: nothing.
  const UpkeepOptions::Check* busy_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Time busy_since_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_UPKEEP_H_

#ifndef SINKWATCH_WORKER_COMMANDS_SUPERVISOR_H_
#define SINKWATCH_WORKER_COMMANDS_SUPERVISOR_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

// One process that keeps a worker process for each device of a host: a device
// is one queue, and what a broken card or a full one does to its process, the
// others do not notice. Knows devices by name only.
namespace sinkwatch::worker {

// A worker of one device: the program and its arguments.
struct WorkerCommand {
  std::string device;
  std::vector<std::string> words;
};

// When a worker that has ended is started again: at once it would spend a core,
// and the server's patience, on a card that is broken. Each end in a row
// doubles the pause; a run of `steady` starts over.
struct RestartPauses {
  absl::Duration first = absl::Seconds(1);
  absl::Duration longest = absl::Minutes(1);
  absl::Duration steady = absl::Minutes(5);
};

// How a worker is treated after its ends. Without a clock and processes.
class RestartPolicy {
 public:
  explicit RestartPolicy(const RestartPauses& pauses) : pauses_(pauses) {}

  // It ended, after it had run for so long, with `exit_code`, or by a signal
  // (none). The pause before it is started again; none: it is not. That is
  // after 0 (nothing to do), 2 (usage) and 42 (self-test failed).
  std::optional<absl::Duration> Ended(std::optional<int> exit_code,
                                      absl::Duration ran);

 private:
  const RestartPauses pauses_;
  absl::Duration next_ = absl::ZeroDuration();
};

// Keeps the workers going until each has ended for good, or, after SIGTERM or
// SIGINT, which they are sent as SIGTERM, has drained. They end with this
// process, however that ends. Each has its share of this process's cores, side
// by side, where there is one core at least for each.
//
// Call it on the main thread before others are started: the signals and SIGCHLD
// are blocked from then on. Returns the exit code: 0 if each worker's last was
// 0, else the first other one (1 for a signal).
int Supervise(const std::vector<WorkerCommand>& workers,
              const RestartPauses& pauses = {});

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_SUPERVISOR_H_

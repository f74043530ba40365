#ifndef SINKWATCH_WORKER_LOOP_WORKER_H_
#define SINKWATCH_WORKER_LOOP_WORKER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"
#include "worker/loop/recurring_fault.h"
#include "worker/measure/measure.h"

namespace sinkwatch::worker {

struct WorkerOptions {
  // Name in the server's lists and logs: "host:pid".
  std::string name;
  at::Device device = at::kCPU;
  // Tokens that run through a layer at a time.
  int64_t tokens_per_batch = 8192;
  // Return once the server has had nothing to do for so long. Infinite: stay.
  absl::Duration exit_when_idle = absl::InfiniteDuration();
};

// The loop of one worker: take a lease, measure the checkpoint, stream the
// values, wait until they are on the server's disk, take the next. One job at a
// time, on the thread that calls Run; renewals have a thread of their own.
//
// Whatever goes wrong with a checkpoint is reported to the server with its
// outcome and never ends the loop. A server that cannot be reached is waited
// for. A device that does not compute any more ends it: its job is handed back
// with its attempt, since every other would fail by it. While there is nothing
// to do, the device's memory is others'.
//
// It remembers the states of heads of the runs that it measured last, which the
// automatic ablations of their next checkpoints are chosen by. It does, and not
// the server, because states are told by metrics, and the server knows none by
// name; of a run that several workers share each compares with what it has seen
// itself, and after a start with nothing.
class Worker {
 public:
  using MeasureFunction = std::function<absl::StatusOr<MeasureSummary>(
      const MeasureRequest&, const MeasureCallbacks&)>;

  // `stub` must outlive the worker.
  Worker(v1::WorkerService::StubInterface& stub, WorkerOptions options,
         MeasureFunction measure = Measure);

  // Works until Drain, idleness or the loss of the device.
  void Run();
  // Whether the device was lost; asked after Run.
  bool device_lost() const { return device_lost_; }

  // Lets Run return soon: a job that is being computed is handed back with its
  // attempt, one whose values are on their way is finished first. May be called
  // from any thread, also from a signal handler.
  void Drain() { draining_.store(true); }

 private:
  // The next lease, if the server has one. Waits as long as the server asked
  // before it returns without.
  std::unique_ptr<v1::Lease> NextLease();
  // Logs the first of a row of refused leases at once, then one a minute.
  void SayRefused(const grpc::Status& status);
  void RunJob(const v1::Lease& lease);
  // INVALID_ARGUMENT for a dtype that we do not compute in.
  absl::StatusOr<MeasureRequest> RequestOf(const v1::Job& job) const;
  // The states of the run's heads as this worker measured them last; null if it
  // has not.
  const executor::HeadStates* LastStates(
      const v1::Checkpoint& checkpoint) const;
  void KeepStates(const v1::Checkpoint& checkpoint,
                  executor::HeadStates states);
  absl::Status MeasureAndSend(const v1::Lease& lease);
  void Report(const v1::Lease& lease, const absl::Status& status);
  void Fail(const v1::Lease& lease, const absl::Status& status);
  void Release(const v1::Lease& lease);
  // In short steps, so that Drain is heard.
  void Pause(absl::Duration duration);

  v1::WorkerService::StubInterface& stub_;
  const WorkerOptions options_;
  const MeasureFunction measure_;
  std::atomic<bool> draining_{false};
  std::chrono::steady_clock::time_point last_work_;
  RecurringFault refused_;
  bool device_lost_ = false;
  // By run and stage, the latest last.
  std::deque<std::pair<std::string, executor::HeadStates>> states_;
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_WORKER_H_

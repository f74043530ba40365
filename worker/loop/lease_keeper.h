#ifndef SINKWATCH_WORKER_LOOP_LEASE_KEEPER_H_
#define SINKWATCH_WORKER_LOOP_LEASE_KEEPER_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "proto/base/mutex.h"
#include "sinkwatch/v1/job.pb.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"

namespace sinkwatch::worker {

// Keeps one lease alive from a thread of its own, three times per time-to-live,
// while the job's thread computes. The server refuses a renewal when the lease
// is somebody else's, or when the job has stood still for its stall time; then
// lost() turns true and the job should be dropped. A server that cannot be
// reached loses nothing by itself: only its word does.
//
// Report and lost may be called from any thread.
class LeaseKeeper {
 public:
  // Starts renewing. `stub` must outlive the keeper.
  LeaseKeeper(v1::WorkerService::StubInterface& stub, const v1::Lease& lease);
  // Stops renewing and joins the thread.
  ~LeaseKeeper();

  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // The job got on: `progress` is the share that is done, 0..1.
  void Report(double progress);

  // Whether the server has said that the lease is not ours any more.
  bool lost() const { return lost_.load(); }

 private:
  void Run();
  void RenewOnce();
  // Sleeps until the next renewal; false once the keeper is being stopped.
  bool WaitForTurn();

  v1::WorkerService::StubInterface& stub_;
  const int64_t job_id_;
  const int64_t token_;
  const absl::Duration interval_;
  std::atomic<double> progress_{0};
  std::atomic<int64_t> ticks_{0};
  std::atomic<bool> lost_{false};

  base::Mutex mutex_;
  base::CondVar stopped_changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_LEASE_KEEPER_H_

#ifndef SINKWATCH_SERVER_SERVICE_WORKER_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_WORKER_SERVICE_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "proto/base/mutex.h"
#include "server/scheduler/scheduler.h"
#include "server/service/byte_budget.h"
#include "server/service/call_queue.h"
#include "server/service/measurement_feed.h"
#include "server/store/commit_queue.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"

namespace sinkwatch::service {

// WorkerService over the scheduler, the store and the commit queue. Leases are
// answered on threads of its own, one short transaction each; measurements
// stream through reactors that hold no thread.
//
// Thread-safe. Everything given must outlive it, and it the gRPC server.
class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  struct Parts {
    store::Store* store;
    store::CommitQueue* commits;
    scheduler::Scheduler* scheduler;
    MeasurementFeed* feed;
    telemetry::ServiceMetrics* metrics;
    store::LeaseLimits limits;
    CallLimits calls = {};
    // Measurements that are on their way, together.
    int64_t max_stream_bytes = int64_t{192} << 20;
    // One that is silent for so long is ended where others need its room.
    std::chrono::milliseconds stream_patience = std::chrono::seconds(10);
  };
  explicit WorkerServiceImpl(const Parts& parts)
      : parts_(parts),
        calls_(parts.calls),
        streams_(parts.max_stream_bytes, parts.stream_patience) {}

  // Gives out no more leases; renewals and results go on.
  void Drain() { draining_.store(true); }

  // Workers that asked for a job in the last ten seconds and got none.
  int IdleWorkers(absl::Time now);

  grpc::ServerUnaryReactor* AcquireLease(
      grpc::CallbackServerContext* context,
      const v1::AcquireLeaseRequest* request,
      v1::AcquireLeaseResponse* response) override;
  grpc::ServerUnaryReactor* RenewLease(
      grpc::CallbackServerContext* context,
      const v1::RenewLeaseRequest* request,
      v1::RenewLeaseResponse* response) override;
  grpc::ServerBidiReactor<v1::MeasurementChunk, v1::MeasurementAck>*
  StreamMeasurement(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* FailJob(grpc::CallbackServerContext* context,
                                    const v1::FailJobRequest* request,
                                    v1::FailJobResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseLease(
      grpc::CallbackServerContext* context,
      const v1::ReleaseLeaseRequest* request,
      v1::ReleaseLeaseResponse* response) override;

 private:
  absl::Status Acquire(const v1::AcquireLeaseRequest& request,
                       v1::AcquireLeaseResponse& response);
  absl::Status Renew(const v1::RenewLeaseRequest& request);
  absl::Status Fail(const v1::FailJobRequest& request,
                    v1::FailJobResponse& response);
  absl::Status Release(const v1::ReleaseLeaseRequest& request);
  // The job whose result begins to come: that of the lease, or one that is done
  // already, whose result changes nothing. ABORTED for a lost lease. Asked in
  // the turn of calls.
  absl::StatusOr<store::JobRecord> Begin(int64_t job_id, int64_t token);
  // Commits through the queue, and tells metrics, log and feed of the result.
  void Commit(store::Store::CommitRequest request,
              std::function<void(absl::StatusOr<store::CommitResult>)> done);
  void NoteWorker(const std::string& worker, bool has_job, absl::Time now);
  void ForgetIdle(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts an ABORTED that tells a worker of its lost lease; a call that merely
  // crossed the commit of its own result is none.
  void CountIfFenced(const absl::Status& status, int64_t job_id, int64_t token);

  const Parts parts_;
  CallQueue calls_;
  ByteBudget streams_;
  std::atomic<bool> draining_{false};
  base::Mutex mutex_;
  // When each worker last asked in vain; of so many names, no more.
  std::map<std::string, absl::Time> idle_since_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_WORKER_SERVICE_H_

#ifndef SINKWATCH_SERVER_SCHEDULER_SCHEDULER_H_
#define SINKWATCH_SERVER_SCHEDULER_SCHEDULER_H_

#include <functional>
#include <optional>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "proto/base/mutex.h"
#include "server/scheduler/pick_next.h"
#include "server/scheduler/retries.h"
#include "server/store/store.h"

namespace sinkwatch::scheduler {

struct SchedulerOptions {
  store::LeaseLimits lease;
  RetryLimits retry;
  uint64_t seed = std::random_device()();
  // Told when a lease that had run out is taken over.
  std::function<void(const store::JobRecord&)> on_expired;
};

// Gives jobs to workers: the policies of this folder over the store.
// Thread-safe.
class Scheduler {
 public:
  // `store` must outlive it.
  Scheduler(store::Store* store, SchedulerOptions options);

  // Leases the next job to `worker`; none if there is nothing to do.
  absl::StatusOr<std::optional<store::JobRecord>> Acquire(
      const std::string& worker);

  // Ends a lease without a result; the state that the job is in then. ABORTED
  // if the lease is not the caller's any more.
  absl::StatusOr<v1::JobState> Fail(int64_t job_id, int64_t token,
                                    v1::Outcome outcome,
                                    const std::string& reason);

 private:
  // The job of a run that comes next; none if somebody was faster.
  absl::StatusOr<std::optional<store::JobRecord>> NextOf(const std::string& run)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  store::Store* const store_;
  const SchedulerOptions options_;
  base::Mutex mutex_;
  History history_ ABSL_GUARDED_BY(mutex_);
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_SCHEDULER_H_

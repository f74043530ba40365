#include "server/scheduler/scheduler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/store_mutex.h"

namespace sinkwatch::scheduler {
namespace {

// Jobs that turn out not to be leasable, one after the other, until the worker
// is told to ask again.
constexpr int kMaxTries = 100;

}  // namespace

Scheduler::Scheduler(store::Store* store, SchedulerOptions options)
    : store_(store), options_(std::move(options)), random_(options_.seed) {}

absl::StatusOr<std::optional<store::JobRecord>> Scheduler::NextOf(
    const std::string& run) {
  auto jobs = store_->LeasableAround(run);
  std::optional<int64_t> near;
  if (jobs.ok() && !jobs->empty() && !IsNewestInTurn(run, history_)) {
    near = MiddleStep(*jobs);
    jobs = store_->LeasableAround(run, *near, *near);
  }
  if (!jobs.ok()) return jobs.status();
  if (jobs->empty()) return std::optional<store::JobRecord>();
  return std::optional<store::JobRecord>((*jobs)[PickStep(*jobs, near)]);
}

absl::StatusOr<std::optional<store::JobRecord>> Scheduler::Acquire(
    const std::string& worker) {
  base::MutexLock lock(mutex_);
  const store::UrgentScope urgent;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    const auto runs = store_->LeasableRuns();
    if (!runs.ok()) return runs.status();
    const auto run = PickRun(*runs, history_);
    if (!run.has_value()) break;
    const auto job = NextOf(*run);
    if (!job.ok()) return job.status();
    if (!job->has_value()) continue;  // taken in between
    if ((*job)->state == v1::JOB_STATE_LEASED && options_.on_expired) {
      options_.on_expired(**job);
    }
    auto leased = store_->Lease((*job)->job.id(), worker, options_.lease,
                                options_.retry.max_attempts);
    if (leased.ok()) {
      NoteLease(*run, history_);
      return std::optional<store::JobRecord>(*std::move(leased));
    }
    // Taken by another server, or out of attempts: the next one.
    if (!absl::IsAborted(leased.status()) &&
        !absl::IsFailedPrecondition(leased.status())) {
      return leased.status();
    }
  }
  return std::optional<store::JobRecord>();
}

absl::StatusOr<v1::JobState> Scheduler::Fail(int64_t job_id, int64_t token,
                                             v1::Outcome outcome,
                                             const std::string& reason) {
  const store::UrgentScope urgent;
  const auto job = store_->GetJob(job_id);
  if (!job.ok()) return job.status();
  double jitter = 0;
  {
    base::MutexLock lock(mutex_);
    jitter = std::uniform_real_distribution<double>(0, 1)(random_);
  }
  const store::FailDecision decision = DecideFailure(
      outcome, job->job.attempt(), options_.retry, jitter, store_->Now());
  const bool waits_for_change = decision.state == v1::JOB_STATE_WAITING &&
                                decision.not_before == absl::InfinitePast();
  absl::Status status = store_->Fail(
      job_id, token, outcome,
      waits_for_change
          ? absl::StrCat(reason, "; after ", job->job.attempt(),
                         " attempts it waits for its files to change")
          : reason,
      decision);
  if (!status.ok()) return status;
  return decision.state;
}

}  // namespace sinkwatch::scheduler

#include "server/service/worker_service.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "proto/base/catch_all.h"
#include "server/service/measurement_reactor.h"
#include "server/service/rpc_timer.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int64_t kRetryAfterMilliseconds = 500;
constexpr absl::Duration kForgetIdle = absl::Seconds(10);
constexpr size_t kMaxLabel = 200;
constexpr size_t kMaxReason = 4000;
constexpr int64_t kBeginBytes = 1000;
constexpr size_t kMaxIdleWorkers = 10000;

// The beginning of a text that is too long, cut between characters.
std::string Shortened(const std::string& text) {
  if (text.size() <= kMaxReason) return text;
  size_t end = kMaxReason;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), " ... (", text.size(), " bytes)");
}

// One line of plain characters, for the log.
std::string Logged(const std::string& text) {
  return absl::Utf8SafeCEscape(text);
}

v1::Lease LeaseOf(const store::JobRecord& record, absl::Duration ttl) {
  v1::Lease lease;
  *lease.mutable_job() = record.job;
  lease.set_token(record.token);
  *lease.mutable_ttl() =
      TimeUtil::MillisecondsToDuration(absl::ToInt64Milliseconds(ttl));
  return lease;
}

v1::MeasurementEvent EventOf(const v1::Measurement& measurement) {
  v1::MeasurementEvent event;
  *event.mutable_checkpoint() = measurement.header().checkpoint();
  event.set_state(v1::JOB_STATE_DONE);
  *event.mutable_time() = TimeUtil::GetCurrentTime();
  event.set_values(store::ValuesIn(measurement));
  event.set_implausible(measurement.implausible());
  return event;
}

telemetry::AttemptOutcome AttemptOutcomeOf(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_CORRUPT:
    case v1::OUTCOME_UNSUPPORTED:
      return telemetry::AttemptOutcome::kPermanent;
    case v1::OUTCOME_VANISHED:
      return telemetry::AttemptOutcome::kVanished;
    default:
      return telemetry::AttemptOutcome::kTransient;
  }
}

}  // namespace

grpc::ServerUnaryReactor* WorkerServiceImpl::AcquireLease(
    grpc::CallbackServerContext* context,
    const v1::AcquireLeaseRequest* request,
    v1::AcquireLeaseResponse* response) {
  return calls_.Answer(context, *request, *response,
                       RpcTimer(parts_.metrics, "WorkerService/AcquireLease"),
                       [=] { return Acquire(*request, *response); });
}

absl::Status WorkerServiceImpl::Acquire(const v1::AcquireLeaseRequest& request,
                                        v1::AcquireLeaseResponse& response) {
  *response.mutable_retry_after() =
      TimeUtil::MillisecondsToDuration(kRetryAfterMilliseconds);
  if (draining_) return absl::OkStatus();
  if (request.worker().size() > kMaxLabel ||
      request.device().size() > kMaxLabel) {
    return absl::InvalidArgumentError(
        "the names of a worker and its device have at most 200 bytes");
  }
  if (request.spec_version() != store::kSpecVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "worker \"", request.worker(), "\" has version ",
        request.spec_version(), " of the metric definitions and the server ",
        store::kSpecVersion, ": run a worker of the server's release"));
  }
  const auto leased = parts_.scheduler->Acquire(request.worker());
  if (!leased.ok()) return leased.status();
  NoteWorker(request.worker(), leased->has_value(), absl::Now());
  if (!leased->has_value()) return absl::OkStatus();
  const store::JobRecord& record = **leased;
  *response.mutable_lease() = LeaseOf(record, parts_.limits.ttl);
  parts_.metrics->LeaseGranted();
  spdlog::info(
      "lease granted job={} run={} step={} attempt={} worker={} device={}",
      record.job.id(), record.job.checkpoint().run(),
      record.job.checkpoint().step(), record.job.attempt(),
      Logged(request.worker()), Logged(request.device()));
  return absl::OkStatus();
}

void WorkerServiceImpl::NoteWorker(const std::string& worker, bool has_job,
                                   absl::Time now) {
  base::MutexLock lock(mutex_);
  if (has_job) {
    idle_since_.erase(worker);
    return;
  }
  if (idle_since_.size() >= kMaxIdleWorkers) ForgetIdle(now);
  if (idle_since_.size() < kMaxIdleWorkers) idle_since_[worker] = now;
}

int WorkerServiceImpl::IdleWorkers(absl::Time now) {
  base::MutexLock lock(mutex_);
  ForgetIdle(now);
  return static_cast<int>(idle_since_.size());
}

void WorkerServiceImpl::ForgetIdle(absl::Time now) {
  for (auto entry = idle_since_.begin(); entry != idle_since_.end();) {
    entry = now - entry->second > kForgetIdle ? idle_since_.erase(entry)
                                              : std::next(entry);
  }
}

grpc::ServerUnaryReactor* WorkerServiceImpl::RenewLease(
    grpc::CallbackServerContext* context, const v1::RenewLeaseRequest* request,
    v1::RenewLeaseResponse* response) {
  return calls_.Answer(context, *request, *response,
                       RpcTimer(parts_.metrics, "WorkerService/RenewLease"),
                       [=] { return Renew(*request); });
}

absl::Status WorkerServiceImpl::Renew(const v1::RenewLeaseRequest& request) {
  const double progress = std::isnan(request.progress())
                              ? 0
                              : std::clamp(request.progress(), 0.0, 1.0);
  const auto until =
      parts_.store->Renew(request.job_id(), request.token(), progress,
                          request.ticks(), parts_.limits);
  CountIfFenced(until.status(), request.job_id(), request.token());
  return until.status();
}

grpc::ServerBidiReactor<v1::MeasurementChunk, v1::MeasurementAck>*
WorkerServiceImpl::StreamMeasurement(grpc::CallbackServerContext* context) {
  const RpcTimer timer(parts_.metrics, "WorkerService/StreamMeasurement");
  return new MeasurementReactor(
      context,
      [this](int64_t job, int64_t token, MeasurementReactor::Begun begun) {
        return calls_.Submit(kBeginBytes,
                             [this, job, token, begun = std::move(begun)] {
                               absl::StatusOr<store::JobRecord> found;
                               const absl::Status asked = base::CatchAll([&] {
                                 found = Begin(job, token);
                                 return absl::OkStatus();
                               });
                               if (!asked.ok()) found = asked;
                               begun(std::move(found));
                             });
      },
      [this](store::Store::CommitRequest request,
             MeasurementReactor::Committed done) {
        Commit(std::move(request), std::move(done));
      },
      [this, timer](const absl::Status& status) {
        if (absl::IsInvalidArgument(status)) parts_.metrics->ResultRejected();
        timer.End(status);
      },
      &streams_);
}

absl::StatusOr<store::JobRecord> WorkerServiceImpl::Begin(int64_t job_id,
                                                          int64_t token) {
  auto leased = parts_.store->CheckLease(job_id, token);
  if (!absl::IsAborted(leased.status())) return leased;
  auto job = parts_.store->GetJob(job_id);
  if (job.ok() && job->state == v1::JOB_STATE_DONE) return job;
  parts_.metrics->ResultFenced();
  return leased;
}

void WorkerServiceImpl::Commit(
    store::Store::CommitRequest request,
    std::function<void(absl::StatusOr<store::CommitResult>)> done) {
  const v1::MeasurementEvent event = EventOf(request.measurement);
  const int64_t job = request.job_id;
  parts_.commits->Submit(
      std::move(request),
      [this, event, job, done = std::move(done)](
          const absl::StatusOr<store::CommitResult>& result) {
        const v1::Checkpoint& checkpoint = event.checkpoint();
        spdlog::info("result job={} run={} step={} values={} status={}", job,
                     checkpoint.run(), checkpoint.step(), event.values(),
                     result.status().ToString());
        if (absl::IsAborted(result.status())) parts_.metrics->ResultFenced();
        if (result.ok() && *result == store::CommitResult::kCommitted) {
          parts_.metrics->AttemptEnded(telemetry::AttemptOutcome::kOk);
          parts_.feed->Publish(event);
        }
        done(result);
      });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::FailJob(
    grpc::CallbackServerContext* context, const v1::FailJobRequest* request,
    v1::FailJobResponse* response) {
  return calls_.Answer(context, *request, *response,
                       RpcTimer(parts_.metrics, "WorkerService/FailJob"),
                       [=] { return Fail(*request, *response); });
}

absl::Status WorkerServiceImpl::Fail(const v1::FailJobRequest& request,
                                     v1::FailJobResponse& response) {
  const std::string reason = Shortened(request.reason());
  const auto state = parts_.scheduler->Fail(request.job_id(), request.token(),
                                            request.outcome(), reason);
  CountIfFenced(state.status(), request.job_id(), request.token());
  if (!state.ok()) return state.status();
  response.set_state(*state);
  parts_.metrics->AttemptEnded(AttemptOutcomeOf(request.outcome()));
  spdlog::warn("job failed job={} outcome={} state={} reason=\"{}\"",
               request.job_id(), v1::Outcome_Name(request.outcome()),
               v1::JobState_Name(*state), Logged(reason));
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ReleaseLease(
    grpc::CallbackServerContext* context,
    const v1::ReleaseLeaseRequest* request,
    v1::ReleaseLeaseResponse* response) {
  return calls_.Answer(context, *request, *response,
                       RpcTimer(parts_.metrics, "WorkerService/ReleaseLease"),
                       [=] { return Release(*request); });
}

absl::Status WorkerServiceImpl::Release(
    const v1::ReleaseLeaseRequest& request) {
  const absl::Status status =
      parts_.store->Release(request.job_id(), request.token());
  if (status.ok()) {
    parts_.metrics->AttemptEnded(telemetry::AttemptOutcome::kReleased);
  }
  CountIfFenced(status, request.job_id(), request.token());
  return status;
}

void WorkerServiceImpl::CountIfFenced(const absl::Status& status,
                                      int64_t job_id, int64_t token) {
  if (!absl::IsAborted(status)) return;
  const auto job = parts_.store->GetJob(job_id);
  if (job.ok() && job->state == v1::JOB_STATE_DONE && job->token == token) {
    return;
  }
  parts_.metrics->ResultFenced();
}

}  // namespace sinkwatch::service

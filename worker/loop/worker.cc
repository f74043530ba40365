#include "worker/loop/worker.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "proto/base/ablation_policy.h"
#include "proto/base/utf8.h"
#include "proto/base/version.h"
#include "proto/rpc/connect_hint.h"
#include "proto/rpc/status.h"
#include "spdlog/spdlog.h"
#include "worker/executor/device_errors.h"
#include "worker/loop/absences.h"
#include "worker/loop/lease_keeper.h"
#include "worker/loop/measurement_proto.h"
#include "worker/loop/outcome.h"
#include "worker/loop/result_sender.h"
#include "worker/measure/compute_dtype.h"
#include "worker/measure/measure.h"

namespace sinkwatch::worker {
namespace {

// A wait does not follow the wall clock when somebody sets it.
using Clock = std::chrono::steady_clock;

absl::Duration Since(Clock::time_point start) {
  return absl::FromChrono(Clock::now() - start);
}

constexpr absl::Duration kStep = absl::Milliseconds(50);
constexpr absl::Duration kUnreachablePause = absl::Seconds(1);
constexpr std::chrono::seconds kCallDeadline(20);
// Runs whose heads' states are remembered: one of 32 layers of 32 heads in four
// domains has 4,096 of them.
constexpr size_t kRunsRemembered = 64;

std::string SeriesOf(const v1::Checkpoint& checkpoint) {
  return absl::StrCat(checkpoint.run(), "\n", checkpoint.stage());
}

std::unique_ptr<grpc::ClientContext> NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + kCallDeadline);
  return context;
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Milliseconds(
      google::protobuf::util::TimeUtil::DurationToMilliseconds(duration));
}

}  // namespace

Worker::Worker(v1::WorkerService::StubInterface& stub, WorkerOptions options,
               MeasureFunction measure)
    : stub_(stub),
      options_(std::move(options)),
      measure_(std::move(measure)),
      last_work_(Clock::now()) {}

void Worker::Run() {
  bool holds_memory = true;
  while (!draining_ && !device_lost_) {
    const std::unique_ptr<v1::Lease> lease = NextLease();
    if (lease != nullptr) {
      RunJob(*lease);
      last_work_ = Clock::now();
      holds_memory = true;
      continue;
    }
    if (holds_memory) executor::ReleaseDeviceMemory(options_.device);
    holds_memory = false;
    if (Since(last_work_) > options_.exit_when_idle) {
      spdlog::info("nothing to do, ending idle_seconds={:.1f}",
                   absl::ToDoubleSeconds(Since(last_work_)));
      break;
    }
  }
}

std::unique_ptr<v1::Lease> Worker::NextLease() {
  v1::AcquireLeaseRequest request;
  request.set_worker(options_.name);
  request.set_spec_version(base::kSpecVersion);
  request.set_device(options_.device.str());
  v1::AcquireLeaseResponse response;
  const auto context = NewContext();
  const grpc::Status status =
      stub_.AcquireLease(context.get(), request, &response);
  if (!status.ok()) {
    SayRefused(status);
    Pause(kUnreachablePause);
    return nullptr;
  }
  if (const int64_t count = refused_.Over(); count > 0) {
    spdlog::info("the server answers again refusals={}", count);
  }
  if (!response.has_lease()) {
    Pause(std::max(FromProto(response.retry_after()), kStep));
    return nullptr;
  }
  return std::make_unique<v1::Lease>(response.lease());
}

void Worker::SayRefused(const grpc::Status& status) {
  if (!refused_.Occurred(absl::Now())) return;
  const std::string hint = rpc::ConnectHint(status);
  spdlog::warn("no lease from the server code={} refusals={} error=\"{}\"{}",
               static_cast<int>(status.error_code()), refused_.count(),
               status.error_message(),
               hint.empty() ? "" : " hint=\"" + hint + "\"");
}

void Worker::RunJob(const v1::Lease& lease) {
  const v1::Job& job = lease.job();
  spdlog::info("job leased job={} run={} step={} attempt={} path={}", job.id(),
               job.checkpoint().run(), job.checkpoint().step(), job.attempt(),
               job.checkpoint().path());
  const Clock::time_point start = Clock::now();
  const absl::Status status = MeasureAndSend(lease);
  if (status.ok()) {
    spdlog::info("job done job={} run={} step={} milliseconds={}", job.id(),
                 job.checkpoint().run(), job.checkpoint().step(),
                 absl::ToInt64Milliseconds(Since(start)));
    return;
  }
  Report(lease, status);
}

absl::StatusOr<MeasureRequest> Worker::RequestOf(const v1::Job& job) const {
  const auto dtype = ParseComputeDtype(job.dtype());
  if (!dtype.ok()) return dtype.status();
  MeasureRequest request;
  request.checkpoint = base::UnescapeBytes(job.checkpoint().path());
  request.model_config = job.model_config();
  request.probe = job.probe().path();
  request.probe_digest = job.probe().digest();
  request.protocol = job.protocol();
  request.device = options_.device;
  request.dtype = *dtype;
  request.metrics = {job.metrics().begin(), job.metrics().end()};
  request.tokens_per_batch = options_.tokens_per_batch;
  const v1::AblationPolicy& ablation = job.ablation();
  const auto policy = base::ReadAblationPolicy(
      ablation.heads(), {ablation.modes().begin(), ablation.modes().end()},
      ablation.budget());
  if (!policy.ok()) return policy.status();
  request.ablation.policy = *policy;
  request.ablation.previous = LastStates(job.checkpoint());
  return request;
}

const executor::HeadStates* Worker::LastStates(
    const v1::Checkpoint& checkpoint) const {
  const auto found = std::find_if(
      states_.begin(), states_.end(),
      [&](const auto& entry) { return entry.first == SeriesOf(checkpoint); });
  return found == states_.end() ? nullptr : &found->second;
}

void Worker::KeepStates(const v1::Checkpoint& checkpoint,
                        executor::HeadStates states) {
  if (states.empty()) return;
  const std::string series = SeriesOf(checkpoint);
  states_.erase(
      std::remove_if(states_.begin(), states_.end(),
                     [&](const auto& entry) { return entry.first == series; }),
      states_.end());
  states_.emplace_back(series, std::move(states));
  if (states_.size() > kRunsRemembered) states_.pop_front();
}

absl::Status Worker::MeasureAndSend(const v1::Lease& lease) {
  const v1::Job& job = lease.job();
  const auto request = RequestOf(job);
  if (!request.ok()) return request.status();
  LeaseKeeper keeper(stub_, lease);
  ResultSender sender(stub_, job.id(), lease.token());

  MeasureCallbacks callbacks;
  Absences absences;
  callbacks.on_start = [&](const MeasureFacts& facts) {
    absences.Start(facts);
    sender.SendHeader(HeaderProto(job, facts, options_.name));
    return absl::OkStatus();
  };
  callbacks.on_values = [&](std::vector<metrics::MetricVector> values) {
    absences.Note(values);
    sender.SendLayer(LayerProto(values));
    return absl::OkStatus();
  };
  callbacks.on_progress = [&](double share) { keeper.Report(share); };
  callbacks.cancelled = [&] { return keeper.lost() || draining_.load(); };

  absl::StatusOr<MeasureSummary> summary = measure_(*request, callbacks);
  if (keeper.lost()) {
    return absl::AbortedError("the lease was lost while measuring");
  }
  if (!summary.ok()) return summary.status();
  v1::MeasurementTrailer trailer = TrailerProto(*summary);
  for (v1::AbsentValues& absent : absences.List()) {
    *trailer.add_absent() = std::move(absent);
  }
  const absl::Status committed = sender.Commit(
      std::move(trailer), [&] { return keeper.lost() || draining_.load(); });
  if (!committed.ok() && keeper.lost()) {
    return absl::AbortedError("the lease was lost while sending");
  }
  if (committed.ok()) {
    KeepStates(job.checkpoint(), std::move(summary->head_states));
  }
  return committed;
}

void Worker::Report(const v1::Lease& lease, const absl::Status& status) {
  if (executor::IsDeviceLost(status)) {
    spdlog::error("the device is lost; this worker ends job={} error=\"{}\"",
                  lease.job().id(), std::string(status.message()));
    device_lost_ = true;
    Release(lease);
    return;
  }
  // So much did not fit: let the others of the card have what is held.
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    executor::ReleaseDeviceMemory(options_.device);
  }
  switch (status.code()) {
    case absl::StatusCode::kAborted:
      spdlog::warn("job lost job={} token={} reason=\"{}\"", lease.job().id(),
                   lease.token(), std::string(status.message()));
      return;
    case absl::StatusCode::kCancelled:
      Release(lease);
      return;
    default:
      Fail(lease, status);
  }
}

void Worker::Fail(const v1::Lease& lease, const absl::Status& status) {
  v1::FailJobRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  request.set_outcome(IsProbeFault(status) ? v1::OUTCOME_RELEASED
                                           : OutcomeOf(status));
  request.set_reason(std::string(status.message()));
  spdlog::warn("job failed job={} outcome={} reason=\"{}\"", request.job_id(),
               v1::Outcome_Name(request.outcome()), request.reason());
  v1::FailJobResponse response;
  const auto context = NewContext();
  const grpc::Status said = stub_.FailJob(context.get(), request, &response);
  if (!said.ok()) {
    spdlog::warn("failure not reported job={} error=\"{}\"", request.job_id(),
                 said.error_message());
  }
}

void Worker::Release(const v1::Lease& lease) {
  v1::ReleaseLeaseRequest request;
  request.set_job_id(lease.job().id());
  request.set_token(lease.token());
  v1::ReleaseLeaseResponse response;
  const auto context = NewContext();
  const grpc::Status said =
      stub_.ReleaseLease(context.get(), request, &response);
  spdlog::info("job handed back job={} ok={}", request.job_id(), said.ok());
}

void Worker::Pause(absl::Duration duration) {
  const Clock::time_point start = Clock::now();
  while (!draining_ && Since(start) < duration) {
    std::this_thread::sleep_for(
        absl::ToChronoNanoseconds(std::min(kStep, duration - Since(start))));
  }
}

}  // namespace sinkwatch::worker

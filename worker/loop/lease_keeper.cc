#include "worker/loop/lease_keeper.h"

#include <algorithm>
#include <chrono>

#include "google/protobuf/util/time_util.h"
#include "proto/base/catch_all.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::worker {
namespace {

absl::Duration RenewalInterval(const v1::Lease& lease) {
  const int64_t ttl_ms =
      google::protobuf::util::TimeUtil::DurationToMilliseconds(lease.ttl());
  return absl::Milliseconds(std::max<int64_t>(ttl_ms / 3, 20));
}

}  // namespace

LeaseKeeper::LeaseKeeper(v1::WorkerService::StubInterface& stub,
                         const v1::Lease& lease)
    : stub_(stub),
      job_id_(lease.job().id()),
      token_(lease.token()),
      interval_(RenewalInterval(lease)),
      thread_([this] { Run(); }) {}

LeaseKeeper::~LeaseKeeper() {
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
  }
  stopped_changed_.NotifyAll();
  thread_.join();
}

void LeaseKeeper::Report(double progress) {
  progress_.store(progress);
  ticks_.fetch_add(1);
}

void LeaseKeeper::Run() {
  while (!lost() && WaitForTurn()) {
    const absl::Status status = base::CatchAll([this] {
      RenewOnce();
      return absl::OkStatus();
    });
    if (!status.ok()) {
      spdlog::warn("lease not renewed job={} error=\"{}\"", job_id_,
                   status.ToString());
    }
  }
}

bool LeaseKeeper::WaitForTurn() {
  base::MutexLock lock(mutex_);
  const auto turn =
      std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(interval_);
  while (!stopped_ && stopped_changed_.WaitUntil(mutex_, turn)) {
  }
  return !stopped_;
}

void LeaseKeeper::RenewOnce() {
  v1::RenewLeaseRequest request;
  request.set_job_id(job_id_);
  request.set_token(token_);
  request.set_progress(progress_.load());
  request.set_ticks(ticks_.load());
  v1::RenewLeaseResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(interval_));
  const grpc::Status status = stub_.RenewLease(&context, request, &response);
  if (status.ok()) return;
  spdlog::warn("lease not renewed job={} token={} code={} error=\"{}\"",
               job_id_, token_, static_cast<int>(status.error_code()),
               status.error_message());
  const bool refused = status.error_code() == grpc::StatusCode::ABORTED ||
                       status.error_code() == grpc::StatusCode::NOT_FOUND;
  if (refused) lost_.store(true);
}

}  // namespace sinkwatch::worker

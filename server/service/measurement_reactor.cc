#include "server/service/measurement_reactor.h"

#include <utility>

#include "proto/base/catch_all.h"
#include "proto/rpc/status.h"

namespace sinkwatch::service {
namespace {

// What the assembler notes beside the vector itself.
constexpr int64_t kBytesPerVector = 256;

int64_t BytesKept(const v1::MeasurementChunk& chunk) {
  return static_cast<int64_t>(chunk.SpaceUsedLong()) +
         kBytesPerVector * chunk.layer().vectors_size();
}

}  // namespace

MeasurementReactor::MeasurementReactor(Begin begin, Commit commit, Ended ended,
                                       ByteBudget* budget)
    : begin_(std::move(begin)),
      commit_(std::move(commit)),
      ended_(std::move(ended)),
      budget_(budget) {
  StartRead(&chunk_);
}

void MeasurementReactor::OnReadDone(bool ok) {
  base::MutexLock lock(mutex_);
  if (finished_) return;
  if (!ok) {
    return FinishWith(absl::InvalidArgumentError(
        "measurement: the stream ended before its trailer"));
  }
  const absl::Status status = base::CatchAll(
      [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return Take(); });
  if (!status.ok()) return FinishWith(status);
  if (done_) {
    already_committed_ = true;
    last_ack_ready_ = true;
    if (writing_) return;  // OnWriteDone sends it
    PrepareLastAck();
    lock.Unlock();
    ended_(absl::OkStatus());
    return StartWriteAndFinish(&ack_, grpc::WriteOptions(), grpc::Status::OK);
  }
  if (!assembler_.complete()) {
    AckProgress();
    chunk_.Clear();
    return StartRead(&chunk_);
  }
  store::Store::CommitRequest request = assembler_.TakeRequest();
  // What was leased is what was measured, whatever the worker's header says.
  *request.measurement.mutable_header()->mutable_checkpoint() = leased_;
  // The queue may call back at once, from this very thread.
  lock.Unlock();
  commit_(std::move(request),
          [this](const absl::StatusOr<store::CommitResult>& result) {
            OnCommitted(result);
          });
}

absl::Status MeasurementReactor::Take() {
  if (chunk_.has_begin() && !begun_) {
    begun_ = true;
    const auto job = begin_(chunk_.begin().job_id(), chunk_.begin().token());
    if (!job.ok()) return job.status();
    leased_ = job->job.checkpoint();
    done_ = job->state == v1::JOB_STATE_DONE;
    if (done_) return absl::OkStatus();
  }
  if (!begun_) {
    return absl::InvalidArgumentError(
        "measurement: the first part must be begin");
  }
  const int64_t bytes = BytesKept(chunk_);
  if (!budget_->Take(bytes)) {
    return absl::ResourceExhaustedError(
        "too many measurements are on their way; send it again");
  }
  held_ += bytes;
  return assembler_.Add(std::move(chunk_));
}

void MeasurementReactor::OnWriteDone(bool) {
  base::MutexLock lock(mutex_);
  writing_ = false;
  if (finished_ || !last_ack_ready_) return;
  PrepareLastAck();
  ended_(absl::OkStatus());
  StartWriteAndFinish(&ack_, grpc::WriteOptions(), grpc::Status::OK);
}

void MeasurementReactor::AckProgress() {
  if (writing_) return;
  writing_ = true;
  ack_.set_chunks(assembler_.chunks());
  StartWrite(&ack_);
}

// Not a reaction: the reactor may be deleted as soon as the call is finished,
// so that must be the last thing done, without the lock.
void MeasurementReactor::OnCommitted(
    const absl::StatusOr<store::CommitResult>& result) {
  base::MutexLock lock(mutex_);
  if (!result.ok()) {
    finished_ = true;
    lock.Unlock();
    ended_(result.status());
    return Finish(rpc::ToGrpc(result.status()));
  }
  last_ack_ready_ = true;
  already_committed_ = *result == store::CommitResult::kAlreadyCommitted;
  if (writing_) return;  // OnWriteDone sends it
  PrepareLastAck();
  lock.Unlock();
  ended_(absl::OkStatus());
  StartWriteAndFinish(&ack_, grpc::WriteOptions(), grpc::Status::OK);
}

void MeasurementReactor::PrepareLastAck() {
  finished_ = true;
  ack_.set_chunks(assembler_.chunks());
  ack_.set_committed(true);
  ack_.set_already_committed(already_committed_);
}

void MeasurementReactor::FinishWith(const absl::Status& status) {
  finished_ = true;
  ended_(status);
  Finish(rpc::ToGrpc(status));
}

}  // namespace sinkwatch::service

#include "server/service/measurement_reactor.h"

#include <utility>

#include "proto/rpc/status.h"

namespace sinkwatch::service {

MeasurementReactor::MeasurementReactor(Commit commit, Ended ended)
    : commit_(std::move(commit)), ended_(std::move(ended)) {
  StartRead(&chunk_);
}

void MeasurementReactor::OnReadDone(bool ok) {
  base::MutexLock lock(mutex_);
  if (finished_) return;
  if (!ok) {
    return FinishWith(absl::InvalidArgumentError(
        "measurement: the stream ended before its trailer"));
  }
  const absl::Status status = assembler_.Add(std::move(chunk_));
  if (!status.ok()) return FinishWith(status);
  if (!assembler_.complete()) {
    AckProgress();
    chunk_.Clear();
    return StartRead(&chunk_);
  }
  store::Store::CommitRequest request = assembler_.TakeRequest();
  // The queue may call back at once, from this very thread.
  lock.Unlock();
  commit_(std::move(request),
          [this](const absl::StatusOr<store::CommitResult>& result) {
            OnCommitted(result);
          });
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

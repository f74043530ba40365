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

MeasurementReactor::MeasurementReactor(grpc::CallbackServerContext* context,
                                       Begin begin, Commit commit, Ended ended,
                                       ByteBudget* budget)
    : begin_(std::move(begin)),
      commit_(std::move(commit)),
      ended_(std::move(ended)),
      cancellable_(std::make_shared<Cancellable>(context)),
      share_(budget, [cancellable = cancellable_] { cancellable->Cancel(); }) {
  StartRead(&chunk_);
}

void MeasurementReactor::OnReadDone(bool ok) {
  if (!ok) {
    return End(absl::InvalidArgumentError(
        "measurement: the stream ended before its trailer"));
  }
  if (begun_) return GoOn();
  if (!chunk_.has_begin()) {
    return End(absl::InvalidArgumentError(
        "measurement: the first part must be begin"));
  }
  begun_ = true;
  Ask();
}

void MeasurementReactor::Ask() {
  const int64_t job = chunk_.begin().job_id(), token = chunk_.begin().token();
  const absl::Status asked = base::CatchAll([&] {
    return begin_(job, token,
                  [this](const absl::StatusOr<store::JobRecord>& found) {
                    OnBegun(found);
                  });
  });
  if (!asked.ok()) End(asked);
}

void MeasurementReactor::OnBegun(const absl::StatusOr<store::JobRecord>& job) {
  if (!job.ok()) return End(job.status());
  if (job->state == v1::JOB_STATE_DONE) return Acknowledge(true);
  {
    base::MutexLock lock(mutex_);
    leased_ = job->job.checkpoint();
  }
  GoOn();
}

void MeasurementReactor::GoOn() {
  store::Store::CommitRequest request;
  absl::Status status;
  bool is_complete = false;
  {
    base::MutexLock lock(mutex_);
    status = base::CatchAll(
        [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return Take(); });
    is_complete = status.ok() && assembler_.complete();
    if (status.ok() && !is_complete) AckProgress();
    if (is_complete) {
      request = assembler_.TakeRequest();
      // What was leased is what was measured, whatever the header says.
      *request.measurement.mutable_header()->mutable_checkpoint() = leased_;
    }
  }
  if (!status.ok()) return End(status);
  if (!is_complete) {
    chunk_.Clear();
    return StartRead(&chunk_);
  }
  share_.Keep();
  // The queue may call back at once, from this very thread.
  commit_(std::move(request),
          [this](const absl::StatusOr<store::CommitResult>& result) {
            OnCommitted(result);
          });
}

absl::Status MeasurementReactor::Take() {
  if (!share_.Take(BytesKept(chunk_))) {
    return absl::ResourceExhaustedError(
        "too many measurements are on their way; send it again");
  }
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

void MeasurementReactor::OnCommitted(
    const absl::StatusOr<store::CommitResult>& result) {
  if (!result.ok()) return End(result.status());
  Acknowledge(*result == store::CommitResult::kAlreadyCommitted);
}

// Perhaps no reaction: the reactor may be deleted as soon as the call is
// finished, so that is the last thing done, without the lock.
void MeasurementReactor::Acknowledge(bool already_committed) {
  {
    base::MutexLock lock(mutex_);
    last_ack_ready_ = true;
    already_committed_ = already_committed;
    if (writing_) return;  // OnWriteDone sends it
    PrepareLastAck();
  }
  ended_(absl::OkStatus());
  StartWriteAndFinish(&ack_, grpc::WriteOptions(), grpc::Status::OK);
}

void MeasurementReactor::End(const absl::Status& status) {
  {
    base::MutexLock lock(mutex_);
    finished_ = true;
  }
  ended_(status);
  Finish(rpc::ToGrpc(status));
}

void MeasurementReactor::PrepareLastAck() {
  finished_ = true;
  ack_.set_chunks(assembler_.chunks());
  ack_.set_committed(true);
  ack_.set_already_committed(already_committed_);
}

}  // namespace sinkwatch::service

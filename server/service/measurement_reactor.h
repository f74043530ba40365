#ifndef SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_
#define SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"
#include "proto/base/mutex.h"
#include "server/service/byte_budget.h"
#include "server/service/measurement_assembler.h"
#include "server/store/store.h"
#include "sinkwatch/v1/worker_service.pb.h"

namespace sinkwatch::service {

// One StreamMeasurement call: asks whether the job is leased before it keeps
// anything, reads chunks into an assembler, acks them, hands the whole to be
// committed, and acks `committed` when that is on disk. But for that one
// question nothing here blocks: committing happens on the queue's thread, which
// calls back.
//
//   reading --end--> committing --on disk--> last ack --> finished
//      |\--begin of a job that is done--------^
//       \--not leased, bad part, or the client went away--> finished
//
// Deletes itself when gRPC is done with it.
class MeasurementReactor final
    : public grpc::ServerBidiReactor<v1::MeasurementChunk, v1::MeasurementAck> {
 public:
  using Committed = std::function<void(absl::StatusOr<store::CommitResult>)>;
  // The job of a begin part, if it is that lease's or is done already.
  using Begin =
      std::function<absl::StatusOr<store::JobRecord>(int64_t, int64_t)>;
  // Commits without blocking and calls back once, from any thread.
  using Commit = std::function<void(store::Store::CommitRequest, Committed)>;
  // Told the status that the call ends with.
  using Ended = std::function<void(const absl::Status&)>;

  // What is kept of a measurement comes out of `budget`, which must outlive
  // the call; where that is used up, the call is RESOURCE_EXHAUSTED.
  MeasurementReactor(Begin begin, Commit commit, Ended ended,
                     ByteBudget* budget);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override {
    budget_->Give(held_);
    delete this;
  }

 private:
  // Takes one part in. Sets `done_` where the job needs no more.
  absl::Status Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnCommitted(const absl::StatusOr<store::CommitResult>& result);
  // Acks the chunks so far, unless an ack is on its way already.
  void AckProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Inside a reaction only.
  void FinishWith(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PrepareLastAck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Begin begin_;
  const Commit commit_;
  const Ended ended_;
  ByteBudget* const budget_;
  v1::MeasurementChunk chunk_;  // owned by gRPC while a read is under way

  base::Mutex mutex_;
  MeasurementAssembler assembler_ ABSL_GUARDED_BY(mutex_);
  int64_t held_ = 0;  // of the budget; only reads change it
  v1::Checkpoint leased_ ABSL_GUARDED_BY(mutex_);
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  v1::MeasurementAck ack_;  // ... while a write is under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool last_ack_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool already_committed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_

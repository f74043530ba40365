#ifndef SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_
#define SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"
#include "proto/base/mutex.h"
#include "server/service/byte_budget.h"
#include "server/service/cancellable.h"
#include "server/service/measurement_assembler.h"
#include "server/store/store.h"
#include "sinkwatch/v1/worker_service.pb.h"

namespace sinkwatch::service {

// One StreamMeasurement call: asks whether the job is leased before it keeps
// anything, reads chunks into an assembler, acks them, hands the whole to be
// committed, and acks `committed` when that is on disk. Nothing here blocks:
// asking and committing happen on threads of others, which call back.
//
//   asking --leased--> reading --end--> committing --on disk--> last ack
//      |\                 |                              ^         |
//      | \--done already--|------------------------------/         v
//       \--not leased, bad part, or the client went away--> finished
//
// Deletes itself when gRPC is done with it.
class MeasurementReactor final
    : public grpc::ServerBidiReactor<v1::MeasurementChunk, v1::MeasurementAck> {
 public:
  using Committed = std::function<void(absl::StatusOr<store::CommitResult>)>;
  using Begun = std::function<void(absl::StatusOr<store::JobRecord>)>;
  // Calls back once, from any thread, with the job of a begin part if it is
  // that lease's or is done already. An error: it never will.
  using Begin = std::function<absl::Status(int64_t, int64_t, Begun)>;
  // Commits without blocking and calls back once, from any thread.
  using Commit = std::function<void(store::Store::CommitRequest, Committed)>;
  // Told the status that the call ends with.
  using Ended = std::function<void(const absl::Status&)>;

  // What is kept of a measurement comes out of `budget`, which must outlive
  // the call; where that is used up, the call is RESOURCE_EXHAUSTED, and
  // CANCELLED where it was silent while others needed it. `context` is the
  // call's.
  MeasurementReactor(grpc::CallbackServerContext* context, Begin begin,
                     Commit commit, Ended ended, ByteBudget* budget);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override {
    cancellable_->Forget();
    delete this;
  }

 private:
  // Asks whether the job of the first part is leased.
  void Ask();
  void OnBegun(const absl::StatusOr<store::JobRecord>& job);
  // Takes the part that was read, and reads on or commits. Neither it nor what
  // ends the call may touch anything after what it starts last.
  void GoOn();
  absl::Status Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const absl::Status& status);
  void Acknowledge(bool already_committed);
  void OnCommitted(const absl::StatusOr<store::CommitResult>& result);
  // Acks the chunks so far, unless an ack is on its way already.
  void AckProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PrepareLastAck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Begin begin_;
  const Commit commit_;
  const Ended ended_;
  const std::shared_ptr<Cancellable> cancellable_;
  ByteBudget::Share share_;
  v1::MeasurementChunk chunk_;  // owned by gRPC while a read is under way

  base::Mutex mutex_;
  MeasurementAssembler assembler_ ABSL_GUARDED_BY(mutex_);
  v1::Checkpoint leased_ ABSL_GUARDED_BY(mutex_);
  bool begun_ = false;      // only reads change it
  v1::MeasurementAck ack_;  // ... while a write is under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool last_ack_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool already_committed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_

#ifndef SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_
#define SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"
#include "proto/base/mutex.h"
#include "server/service/measurement_assembler.h"
#include "server/store/store.h"
#include "sinkwatch/v1/worker_service.pb.h"

namespace sinkwatch::service {

// One StreamMeasurement call: reads chunks into an assembler, acks them, hands
// the whole to be committed, and acks `committed` when that is on disk. Nothing
// here blocks: committing happens on the queue's thread, which calls back.
//
//   reading --end--> committing --on disk--> last ack --> finished
//      \--bad part, or the client went away--> finished
//
// Deletes itself when gRPC is done with it.
class MeasurementReactor final
    : public grpc::ServerBidiReactor<v1::MeasurementChunk, v1::MeasurementAck> {
 public:
  using Committed = std::function<void(absl::StatusOr<store::CommitResult>)>;
  // Commits without blocking and calls back once, from any thread.
  using Commit = std::function<void(store::Store::CommitRequest, Committed)>;
  // Told the status that the call ends with.
  using Ended = std::function<void(const absl::Status&)>;

  MeasurementReactor(Commit commit, Ended ended);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  void OnCommitted(const absl::StatusOr<store::CommitResult>& result);
  // Acks the chunks so far, unless an ack is on its way already.
  void AckProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Inside a reaction only.
  void FinishWith(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PrepareLastAck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Commit commit_;
  const Ended ended_;
  v1::MeasurementChunk chunk_;  // owned by gRPC while a read is under way

  base::Mutex mutex_;
  MeasurementAssembler assembler_ ABSL_GUARDED_BY(mutex_);
  v1::MeasurementAck ack_;  // ... while a write is under way
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool last_ack_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool already_committed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_MEASUREMENT_REACTOR_H_

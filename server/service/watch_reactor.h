#ifndef SINKWATCH_SERVER_SERVICE_WATCH_REACTOR_H_
#define SINKWATCH_SERVER_SERVICE_WATCH_REACTOR_H_

#include <deque>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "proto/base/mutex.h"
#include "server/service/measurement_feed.h"
#include "server/service/rpc_timer.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::service {

// One WatchMeasurements call: hands the feed's events to the client, in order,
// until it goes away. A client that falls 1,000 events behind is ended with
// RESOURCE_EXHAUSTED. Deletes itself when gRPC is done with it.
class WatchReactor final
    : public grpc::ServerWriteReactor<v1::MeasurementEvent> {
 public:
  // Only events of `run`, all if it is empty. Nothing comes, and the reactor
  // lives, until Start. `feed` must outlive the call.
  WatchReactor(MeasurementFeed* feed, std::string run, RpcTimer timer);

  // Listens from now on, or ends with `known` if that is an error. Once, from
  // any thread; the reactor may be gone after it.
  void Start(const absl::Status& known);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void OnEvent(const MeasurementFeed::Event& event);
  // Finishes now, or when Start comes.
  void FinishOnce(const grpc::Status& status);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const grpc::Status& status);

  MeasurementFeed* const feed_;
  const std::string run_;
  const RpcTimer timer_;

  base::Mutex mutex_;
  int64_t ticket_ ABSL_GUARDED_BY(mutex_) = -1;
  // The front is being written while `writing_`.
  std::deque<MeasurementFeed::Event> events_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_WATCH_REACTOR_H_

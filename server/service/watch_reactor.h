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
  // Only events of `run`, all if it is empty. Ends at once with `known` if that
  // is an error. `feed` must outlive the call.
  WatchReactor(MeasurementFeed* feed, std::string run,
               const absl::Status& known, RpcTimer timer);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void OnEvent(const v1::MeasurementEvent& event);
  void FinishOnce(const grpc::Status& status);

  MeasurementFeed* const feed_;
  const std::string run_;
  const RpcTimer timer_;
  int64_t ticket_ = -1;

  base::Mutex mutex_;
  // The front is being written while `writing_`.
  std::deque<v1::MeasurementEvent> events_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_WATCH_REACTOR_H_

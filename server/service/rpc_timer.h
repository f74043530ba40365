#ifndef SINKWATCH_SERVER_SERVICE_RPC_TIMER_H_
#define SINKWATCH_SERVER_SERVICE_RPC_TIMER_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"
#include "server/telemetry/service_metrics.h"

namespace sinkwatch::service {

// Counts one RPC, from its making to its one End: every method of every service
// has one. Thread-compatible. `metrics` must outlive it.
class RpcTimer {
 public:
  // `method` is "WorkerService/AcquireLease"; it must outlive the timer.
  RpcTimer(telemetry::ServiceMetrics* metrics, const char* method);

  // Counts the call with its status and time, and gives that status back as
  // gRPC's.
  grpc::Status End(const absl::Status& status) const;
  void End(const grpc::Status& status) const;

 private:
  telemetry::ServiceMetrics* metrics_;
  const char* method_;
  absl::Time start_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_RPC_TIMER_H_

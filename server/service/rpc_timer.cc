#include "server/service/rpc_timer.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/rpc/status.h"

namespace sinkwatch::service {

RpcTimer::RpcTimer(telemetry::ServiceMetrics* metrics, const char* method)
    : metrics_(metrics), method_(method), start_(absl::Now()) {}

grpc::Status RpcTimer::End(const absl::Status& status) const {
  grpc::Status answer = rpc::ToGrpc(status);
  End(answer);
  return answer;
}

void RpcTimer::End(const grpc::Status& status) const {
  metrics_->RpcHandled(absl::StrCat("/sinkwatch.v1.", method_),
                       status.error_code(), absl::Now() - start_);
}

}  // namespace sinkwatch::service

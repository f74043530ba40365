#include "proto/rpc/connect_hint.h"

namespace sinkwatch::rpc {

std::string ConnectHint(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return "";
  for (const char* words : {"HTTP/2", "http1"}) {
    if (status.error_message().find(words) == std::string::npos) continue;
    return "what answers there is not gRPC: is it the server's HTTP port? gRPC "
           "has its own, 17461 unless configured.";
  }
  return "is sinkwatch_server running there?";
}

}  // namespace sinkwatch::rpc

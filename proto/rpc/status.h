#ifndef SINKWATCH_PROTO_RPC_STATUS_H_
#define SINKWATCH_PROTO_RPC_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace sinkwatch::rpc {

// The same code and message on the other side of the wire: gRPC's and Abseil's
// codes have the same numbers.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace sinkwatch::rpc

#endif  // SINKWATCH_PROTO_RPC_STATUS_H_

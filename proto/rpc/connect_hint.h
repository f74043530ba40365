#ifndef SINKWATCH_PROTO_RPC_CONNECT_HINT_H_
#define SINKWATCH_PROTO_RPC_CONNECT_HINT_H_

#include <string>

#include "grpcpp/support/status.h"

namespace sinkwatch::rpc {

// What to do about a server that cannot be reached, from how a call to it
// ended: whether something other than gRPC answers there, such as the HTTP
// port. Empty for anything but UNAVAILABLE.
std::string ConnectHint(const grpc::Status& status);

}  // namespace sinkwatch::rpc

#endif  // SINKWATCH_PROTO_RPC_CONNECT_HINT_H_

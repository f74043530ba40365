#ifndef SINKWATCH_PROTO_RPC_CHANNEL_H_
#define SINKWATCH_PROTO_RPC_CHANNEL_H_

#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/server_builder.h"

namespace sinkwatch::rpc {

// Largest answer that a client takes.
inline constexpr int kMaxMessageBytes = 64 << 20;
// Largest message that a server takes: a layer of a measurement (README.md);
// what is asked and ordered is far smaller, and bounded where it is answered.
inline constexpr int kMaxRequestBytes = 16 << 20;

// A plaintext channel to "host:port" that notices a dead peer: it pings every
// 30 s, also without calls under way, and connects again by itself. It connects
// straight, whatever $http_proxy says.
std::shared_ptr<grpc::Channel> CreateChannel(const std::string& address);

// The server's half of the same agreement: it allows those pings (gRPC's
// default would close the connection for them) and caps messages, streams,
// threads and what gRPC keeps in memory.
void SetServerLimits(grpc::ServerBuilder& builder);

}  // namespace sinkwatch::rpc

#endif  // SINKWATCH_PROTO_RPC_CHANNEL_H_

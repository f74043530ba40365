#ifndef SINKWATCH_SERVER_NET_LISTENER_H_
#define SINKWATCH_SERVER_NET_LISTENER_H_

#include <string>

#include "absl/status/statusor.h"

namespace sinkwatch::net {

// A TCP socket that listens, without blocking, on "host:port". The caller
// closes it. INVALID_ARGUMENT for an address that is none; UNAVAILABLE, naming
// it and `flag`, which chooses another, if it cannot be bound.
absl::StatusOr<int> Listen(const std::string& address, const std::string& flag);

// The port of a socket.
int PortOf(int fd);

// The host of "host:port".
std::string HostOf(const std::string& address);

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_LISTENER_H_

#ifndef SINKWATCH_SERVER_NET_LISTENER_H_
#define SINKWATCH_SERVER_NET_LISTENER_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace sinkwatch::net {

// A TCP socket that listens, without blocking, on "host:port". The caller
// closes it. INVALID_ARGUMENT for an address that is none; UNAVAILABLE, naming
// it and `flag`, which chooses another, if it cannot be bound.
absl::StatusOr<int> Listen(const std::string& address, const std::string& flag);

// Takes every client that waits at `listener` and hands its socket, which does
// not block or delay, to `add`. Where no descriptor is left, `make_room` closes
// some, or is false; then clients still wait, and the answer is false as well.
bool AcceptAll(int listener, absl::FunctionRef<void(int fd)> add,
               absl::FunctionRef<bool()> make_room);

// One part in `parts` of the descriptors that this process may have; `wanted`,
// if that is less.
int DescriptorsWithin(int wanted, int parts);

// The port of a socket.
int PortOf(int fd);

// The host of "host:port".
std::string HostOf(const std::string& address);

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_LISTENER_H_

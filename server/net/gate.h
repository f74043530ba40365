#ifndef SINKWATCH_SERVER_NET_GATE_H_
#define SINKWATCH_SERVER_NET_GATE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/net/frame_guard.h"

namespace sinkwatch::net {

struct GateOptions {
  std::string address;  // HOST:PORT; port 0 takes a free one
  // Connections at once, or a quarter of the process's descriptors, if that is
  // less. One more takes the place of the one that has been without a call for
  // longest; where all have calls, of the one on which nothing has moved for
  // longest, if for `silence`; else it is closed.
  int max_connections = 1024;
  std::chrono::milliseconds silence{10000};
  // Calls at once, of one connection and of all; but each connection may have
  // a few, whatever others do.
  size_t max_calls = 1000;
  size_t max_calls_together = 2200;
  FrameLimits frames = {};
  // How long a client may take to say that it speaks HTTP/2; and how long it
  // may take nothing of what is there for it, or wait to begin one more call
  // than it may have.
  std::chrono::milliseconds greeting{10000};
  std::chrono::milliseconds standstill{60000};
};

// The port in front of a gRPC server. It listens itself, because gRPC, once it
// was out of descriptors, never accepts again; and it passes on what FrameGuard
// admits, because gRPC 1.51 keeps whatever it is sent. A client that breaks a
// rule loses its connection; one that goes too fast is read more slowly.
//
// One thread for all connections. No exception leaves it.
class Gate {
 public:
  // Serves a client on this socket, which it owns from now on.
  using Serve = std::function<void(int fd)>;

  // Listens, and hands each client to `serve`. Codes as Listen.
  static absl::StatusOr<std::unique_ptr<Gate>> Open(GateOptions options,
                                                    Serve serve);
  // Closes everything.
  ~Gate();

  int port() const;
  // Takes no new clients; `serve` is not called any more once it returns. Those
  // that are there go on.
  void StopAccepting();

 private:
  class Loop;
  explicit Gate(std::unique_ptr<Loop> loop);
  const std::unique_ptr<Loop> loop_;
};

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_GATE_H_

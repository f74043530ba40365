#ifndef SINKWATCH_SERVER_NET_PORT_PROBE_H_
#define SINKWATCH_SERVER_NET_PORT_PROBE_H_

#include <chrono>
#include <string>

#include "absl/status/status.h"

namespace sinkwatch::net {

// Whether something that speaks HTTP/2 answers at `host`:`port`: connects, says
// hello and waits for the other side's settings. UNAVAILABLE or
// DEADLINE_EXCEEDED says how far it came. Takes at most `patience`.
absl::Status ProbeHttp2(const std::string& host, int port,
                        std::chrono::milliseconds patience);

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_PORT_PROBE_H_

#ifndef SINKWATCH_SERVER_PORT_CHECK_H_
#define SINKWATCH_SERVER_PORT_CHECK_H_

#include <string>

#include "absl/status/status.h"

namespace sinkwatch::server {

// Whether "HOST:PORT" can be listened on now, by trying to: the libraries that
// listen say only that they could not. UNAVAILABLE names the address, why not,
// and `flag`, which chooses another. OK for port 0, and for a HOST that is not
// resolved here: that is for whoever listens.
absl::Status CheckPort(const std::string& address, const std::string& flag);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_PORT_CHECK_H_

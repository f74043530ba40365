#ifndef SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_

#include "absl/status/status.h"
#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands about the values of a metric; the status keeps the server's code.
absl::Status Series(const Context& c);
absl::Status Heads(const Context& c);
absl::Status Matrix(const Context& c);
absl::Status Emergence(const Context& c);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_

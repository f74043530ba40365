#ifndef SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_

#include "absl/status/status.h"
#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands that ask what is there; the status keeps the server's code.
absl::Status Runs(const Context& c);
absl::Status Checkpoints(const Context& c);
absl::Status Metrics(const Context& c);
absl::Status Measurement(const Context& c);
absl::Status Watch(const Context& c);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_

#ifndef SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_

#include "absl/status/status.h"
#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands that change what the server does, or ask about the server itself;
// the status keeps the server's code.
absl::Status Requeue(const Context& c);
absl::Status AddRun(const Context& c);
absl::Status UpdateRun(const Context& c);
absl::Status RemoveRun(const Context& c);
absl::Status Config(const Context& c);
// UNAVAILABLE unless the server says that it serves.
absl::Status Ready(const Context& c);
// This program's version is told even if the server cannot be asked.
absl::Status Version(const Context& c);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_

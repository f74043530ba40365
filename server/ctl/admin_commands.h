#ifndef SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_

#include "absl/status/status.h"
#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// The commands that tell a server what to do; see command_table.cc.
absl::Status Requeue(const Context& c);
absl::Status AddRun(const Context& c);
absl::Status RemoveRun(const Context& c);
absl::Status Config(const Context& c);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_

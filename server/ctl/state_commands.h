#ifndef SINKWATCH_SERVER_CTL_STATE_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_STATE_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// What heads do: states.
std::vector<Command> StateCommands();

// `heads RUN --domain=a,b`: the heads by how much a metric differs between two
// domains.
absl::Status HeadsByDifference(const Context& c);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_STATE_COMMANDS_H_

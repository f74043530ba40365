#ifndef SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands that change what the server does, or ask about the server itself.
// `ready` is UNAVAILABLE unless the server says that it serves; `version` tells
// this program's even if the server cannot be asked.
std::vector<Command> AdminCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_ADMIN_COMMANDS_H_

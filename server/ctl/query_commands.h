#ifndef SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands that ask what is there.
std::vector<Command> QueryCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_

#ifndef SINKWATCH_SERVER_CTL_REFERENCE_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_REFERENCE_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Published numbers: reference.
std::vector<Command> ReferenceCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_REFERENCE_COMMANDS_H_

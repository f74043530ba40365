#ifndef SINKWATCH_SERVER_CTL_STORE_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_STORE_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// `store check`, `store repair` and `store backup`.
std::vector<Command> StoreCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_STORE_COMMANDS_H_

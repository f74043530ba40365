#ifndef SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_

#include <map>
#include <string>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands that ask what is there, by name; their status keeps the server's
// code.
std::map<std::string, Command> QueryCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_QUERY_COMMANDS_H_

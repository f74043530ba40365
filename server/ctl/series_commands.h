#ifndef SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_

#include <map>
#include <string>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands about the values of a metric, by name; their status keeps the
// server's code.
std::map<std::string, Command> SeriesCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_

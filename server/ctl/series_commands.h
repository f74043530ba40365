#ifndef SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Commands about the values of a metric.
std::vector<Command> SeriesCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_SERIES_COMMANDS_H_

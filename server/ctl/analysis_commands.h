#ifndef SINKWATCH_SERVER_CTL_ANALYSIS_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_ANALYSIS_COMMANDS_H_

#include <vector>

#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// What numbers mean: summary, compare, report, jumps, fits.
std::vector<Command> AnalysisCommands();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_ANALYSIS_COMMANDS_H_

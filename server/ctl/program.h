#ifndef SINKWATCH_SERVER_CTL_PROGRAM_H_
#define SINKWATCH_SERVER_CTL_PROGRAM_H_

#include "proto/base/command_line.h"

namespace sinkwatch::ctl {

// What sinkctl can do: names, operands, flags and examples of every command.
// The help and the shells' completions come from it.
const base::ProgramSpec& SinkctlProgram();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_PROGRAM_H_

#ifndef SINKWATCH_SERVER_CTL_PROGRAM_H_
#define SINKWATCH_SERVER_CTL_PROGRAM_H_

#include <vector>

#include "proto/base/command_line.h"
#include "server/ctl/context.h"

namespace sinkwatch::ctl {

// Every command, in the order of the help. One is added where it is written.
const std::vector<Command>& Commands();

// Their names, operands, flags and examples; the help and the shells'
// completions come from it.
const base::ProgramSpec& SinkctlProgram();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_PROGRAM_H_

#ifndef SINKWATCH_WORKER_COMMANDS_PROGRAM_H_
#define SINKWATCH_WORKER_COMMANDS_PROGRAM_H_

#include "proto/base/command_line.h"

namespace sinkwatch::worker {

// The commands of sinkwatch_worker and their flags.
const base::ProgramSpec& WorkerProgram();

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_PROGRAM_H_

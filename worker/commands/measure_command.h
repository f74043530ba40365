#ifndef SINKWATCH_WORKER_COMMANDS_MEASURE_COMMAND_H_
#define SINKWATCH_WORKER_COMMANDS_MEASURE_COMMAND_H_

#include "proto/base/command_line.h"

namespace sinkwatch::worker {

// `sinkwatch_worker measure`: one checkpoint without a server. Returns the exit
// code: 0, 2 bad usage, 3 incomplete, 4 corrupt, 5 unsupported, 6 vanished, 1
// other.
int RunMeasureCommand(const base::Arguments& arguments);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_MEASURE_COMMAND_H_

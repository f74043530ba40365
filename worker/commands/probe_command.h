#ifndef SINKWATCH_WORKER_COMMANDS_PROBE_COMMAND_H_
#define SINKWATCH_WORKER_COMMANDS_PROBE_COMMAND_H_

#include "proto/base/command_line.h"

namespace sinkwatch::worker {

// `sinkwatch_worker probe`: makes a probe folder that pins the token files of a
// list where they lie. Says on standard error what it pinned. Returns the exit
// code of the process: 0 done, 2 bad usage, which is also whatever is wrong
// with the list or a token file, 1 other.
int RunProbeCommand(const base::Arguments& arguments);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_PROBE_COMMAND_H_

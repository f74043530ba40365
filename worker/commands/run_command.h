#ifndef SINKWATCH_WORKER_COMMANDS_RUN_COMMAND_H_
#define SINKWATCH_WORKER_COMMANDS_RUN_COMMAND_H_

#include "proto/base/command_line.h"

namespace sinkwatch::worker {

// `sinkwatch_worker run`: works for a server until SIGTERM or SIGINT; one that
// comes during the self-test ends it right after. Returns the exit code: 0 when
// drained, 2 bad usage, 42 when this worker should not be started again as it
// is (the self-test failed).
int RunRunCommand(const base::Arguments& arguments);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_RUN_COMMAND_H_

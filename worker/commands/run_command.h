#ifndef SINKWATCH_WORKER_COMMANDS_RUN_COMMAND_H_
#define SINKWATCH_WORKER_COMMANDS_RUN_COMMAND_H_

namespace sinkwatch::worker {

// `sinkwatch_worker run`: works for a server until SIGTERM or SIGINT, by the
// flags --server, --device, --name, --tokens_per_batch, --threads,
// --exit_when_idle, --skip_self_test, which must have been parsed. Returns the
// exit code: 0 when drained, 2 bad usage, 42 when this worker should not be
// started again as it is (the self-test failed).
int RunRunCommand();

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_RUN_COMMAND_H_

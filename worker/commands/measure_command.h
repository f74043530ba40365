#ifndef SINKWATCH_WORKER_COMMANDS_MEASURE_COMMAND_H_
#define SINKWATCH_WORKER_COMMANDS_MEASURE_COMMAND_H_

namespace sinkwatch::worker {

// `sinkwatch_worker measure`: one checkpoint without a server, by the flags
// --checkpoint, --model_config, --probe, --device, --dtype, --metrics,
// --format,
// --output, --tokens_per_batch, --threads, which must have been parsed. Returns
// the exit code: 0, 2 bad usage, 3 incomplete, 4 corrupt, 5 unsupported, 6
// vanished, 1 other.
int RunMeasureCommand();

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_MEASURE_COMMAND_H_

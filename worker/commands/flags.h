#ifndef SINKWATCH_WORKER_COMMANDS_FLAGS_H_
#define SINKWATCH_WORKER_COMMANDS_FLAGS_H_

#include <cstdint>
#include <string>

#include "absl/flags/declare.h"

// Flags that more than one command takes; defined in main.cc.
ABSL_DECLARE_FLAG(std::string, device);
ABSL_DECLARE_FLAG(int64_t, tokens_per_batch);
ABSL_DECLARE_FLAG(int32_t, threads);
ABSL_DECLARE_FLAG(std::string, dtype);
ABSL_DECLARE_FLAG(std::string, output);

#endif  // SINKWATCH_WORKER_COMMANDS_FLAGS_H_

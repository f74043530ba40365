#ifndef SINKWATCH_WORKER_FLAGS_H_
#define SINKWATCH_WORKER_FLAGS_H_

#include <cstdint>
#include <string>

#include "absl/flags/declare.h"

// Flags that both commands take; defined in main.cc.
ABSL_DECLARE_FLAG(std::string, device);
ABSL_DECLARE_FLAG(int64_t, tokens_per_batch);
ABSL_DECLARE_FLAG(int32_t, threads);

#endif  // SINKWATCH_WORKER_FLAGS_H_

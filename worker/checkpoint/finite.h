#ifndef SINKWATCH_WORKER_CHECKPOINT_FINITE_H_
#define SINKWATCH_WORKER_CHECKPOINT_FINITE_H_

#include <cstdint>

#include "c10/core/ScalarType.h"

namespace sinkwatch::checkpoint {

// The index of the first of `count` elements that is NaN or infinite, -1 if
// there is none. `type` is float32, bfloat16, float16 or float64, `data`
// aligned for it. Compiled for vectors (BUILD): 20 GB/s and more where the data
// is in a cache.
int64_t FirstNonFinite(const void* data, int64_t count, c10::ScalarType type);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_FINITE_H_

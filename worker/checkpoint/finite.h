#ifndef SINKWATCH_WORKER_CHECKPOINT_FINITE_H_
#define SINKWATCH_WORKER_CHECKPOINT_FINITE_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace sinkwatch::checkpoint {

// The index (row-major) of the first element of `tensor` that is NaN or
// infinite, -1 if there is none. The tensor is on the CPU, contiguous, and
// float32, bfloat16, float16 or float64.
int64_t FirstNonFinite(const at::Tensor& tensor);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_FINITE_H_

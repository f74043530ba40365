#ifndef SINKWATCH_WORKER_MEASURE_COMPUTE_DTYPE_H_
#define SINKWATCH_WORKER_MEASURE_COMPUTE_DTYPE_H_

#include <string>

#include "absl/status/statusor.h"
#include "c10/core/ScalarType.h"

namespace sinkwatch::worker {

// The dtype that "float32" or "bfloat16" names, as jobs and --dtype do.
// INVALID_ARGUMENT for any other name.
absl::StatusOr<at::ScalarType> ParseComputeDtype(const std::string& name);

// The name of one of the two.
std::string ComputeDtypeName(at::ScalarType dtype);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_COMPUTE_DTYPE_H_

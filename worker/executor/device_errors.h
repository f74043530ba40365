#ifndef SINKWATCH_WORKER_EXECUTOR_DEVICE_ERRORS_H_
#define SINKWATCH_WORKER_EXECUTOR_DEVICE_ERRORS_H_

#include <functional>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "c10/util/Exception.h"

// What computing on a device throws, as statuses.
namespace sinkwatch::executor {

// What `work` returns or, as a status, throws: RESOURCE_EXHAUSTED for memory of
// the host or the device; UNAVAILABLE, with IsDeviceLost, where the device does
// not compute any more; INTERNAL for any other error of LibTorch. Messages are
// LibTorch's first line.
absl::Status CatchDeviceErrors(at::Device device,
                               const std::function<absl::Status()>& work);

// Whether nothing can be computed on the device in this process: an error of a
// CUDA kernel stays until the process ends, and every job would fail by it.
bool IsDeviceLost(const absl::Status& status);
// Makes `status`, an error, one that says so.
void MarkDeviceLost(absl::Status& status);

// Whether the error is about memory.
bool IsOutOfMemory(const c10::Error& error);

// Gives device memory that LibTorch keeps for later back to the device. Nothing
// on the CPU, and on a device that is lost.
void ReleaseDeviceMemory(at::Device device);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_DEVICE_ERRORS_H_

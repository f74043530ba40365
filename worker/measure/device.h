#ifndef SINKWATCH_WORKER_MEASURE_DEVICE_H_
#define SINKWATCH_WORKER_MEASURE_DEVICE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "c10/core/Device.h"

namespace sinkwatch::worker {

// The device that `name` ("auto", "cpu", "cuda", "cuda:1") stands for. CUDA is
// not linked: libtorch_cuda.so is loaded here, from the folder of
// libtorch_cpu.so or the loader's path, when a GPU is wanted, then our kernels,
// libsinkwatch_cuda.so, from beside this program, so one binary serves both.
// "auto" takes a GPU where one can be used, else the CPU. Nothing is done on
// the card yet.
//
// INVALID_ARGUMENT: no such name. FAILED_PRECONDITION: CUDA was asked for and
// cannot be used; the message says which library is missing, that no card is
// visible, or that the one asked for is not.
absl::StatusOr<c10::Device> OpenDevice(const std::string& name);

// The device as people know it: "cuda:0 (NVIDIA H200)", "cpu".
std::string DeviceTitle(c10::Device device);

// Lets this process take at most `bytes` of the card's memory for tensors; what
// goes beyond is out of memory. Beside them CUDA itself takes some 500 MB.
// RESOURCE_EXHAUSTED: the card is too full to begin with.
absl::Status BoundDeviceMemory(c10::Device device, int64_t bytes);

// Tokens that run through a layer at a time if nobody says: 8192, and twice as
// many on a GPU, where each batch costs a hundred launches beside its numbers.
int64_t DefaultTokensPerBatch(c10::Device device);

// How many GPUs are visible to this process; errors as OpenDevice("cuda").
absl::StatusOr<int> CountGpus();

// Computes on `count` threads on the CPU; 0 leaves one per core.
void UseThreads(int count);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_DEVICE_H_

#ifndef SINKWATCH_WORKER_MEASURE_DEVICE_H_
#define SINKWATCH_WORKER_MEASURE_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "c10/core/Device.h"

namespace sinkwatch::worker {

// The device that `name` ("auto", "cpu", "cuda", "cuda:1") stands for. CUDA is
// not linked: libtorch_cuda.so is loaded here, from the folder of
// libtorch_cpu.so or the loader's path, when a GPU is wanted, so one binary
// serves both. "auto" takes a GPU where one can be used, else the CPU.
//
// INVALID_ARGUMENT: no such name. FAILED_PRECONDITION: CUDA was asked for and
// cannot be used; the message says which library or device is missing.
absl::StatusOr<c10::Device> OpenDevice(const std::string& name);

// Computes on `count` threads on the CPU; 0 leaves one per core.
void UseThreads(int count);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_DEVICE_H_

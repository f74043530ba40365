// What a worker asks of CUDA beside operators; LibTorch's neutral interface has
// neither.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "ATen/core/Tensor.h"
#include "c10/core/DeviceGuard.h"
#include "c10/cuda/CUDACachingAllocator.h"
#include "c10/cuda/CUDAStream.h"
#include "c10/util/Exception.h"
#include "torch/library.h"
#include "worker/kernels/cuda/device_call.h"

// Of libtorch_cuda; its header needs those of all CUDA libraries.
namespace at::cuda {
void clearCublasWorkspaces();
}

namespace sinkwatch::kernels::cuda {
namespace {

// "NVIDIA H200".
std::string CardName(int64_t device) {
  cudaDeviceProp properties;
  CheckLaunch("cuda_card_name",
              cudaGetDeviceProperties(&properties, static_cast<int>(device)));
  return properties.name;
}

// Allocations beyond so many bytes are out of memory.
void BoundMemory(int64_t device, int64_t bytes) {
  cudaDeviceProp properties;
  CheckLaunch("cuda_bound_memory",
              cudaGetDeviceProperties(&properties, static_cast<int>(device)));
  const double share = static_cast<double>(bytes) /
                       static_cast<double>(properties.totalGlobalMem);
  c10::cuda::CUDACachingAllocator::setMemoryFraction(
      std::min(share, 1.0), static_cast<c10::DeviceIndex>(device));
}

// A stream for copies, made once for each card of a process: its id. LibTorch
// would make all 128 of its pool for the first one, which hold 70 MB of the
// card.
int64_t CopyStream(int64_t device) {
  static std::mutex& mutex = *new std::mutex;
  static auto& streams = *new std::map<int64_t, cudaStream_t>;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto index = static_cast<c10::DeviceIndex>(device);
  cudaStream_t& stream = streams[device];
  if (stream == nullptr) {
    const c10::DeviceGuard guard(c10::Device(c10::kCUDA, index));
    CheckLaunch("cuda_copy_stream",
                cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  }
  return c10::cuda::getStreamFromExternal(stream, index).id();
}

// Starts a copy from pinned memory to `to` from byte `at` on, on the current
// stream. Unlike at::copy_ it leaves no note for the owner of the pinned
// memory, who has to keep it until the copy is done: what a copy costs its
// thread is the driver's part alone.
void CopyPinned(const at::Tensor& to, int64_t at, const at::Tensor& from,
                int64_t bytes) {
  TORCH_CHECK(to.is_cuda() && to.is_contiguous() && from.is_cpu() &&
                  from.is_contiguous() && at >= 0 && bytes >= 0 &&
                  static_cast<size_t>(at + bytes) <= to.nbytes() &&
                  static_cast<size_t>(bytes) <= from.nbytes(),
              "copy_pinned_: ", bytes, " bytes of ", from.nbytes(), " to ", at,
              " of ", to.nbytes());
  const c10::DeviceGuard guard(to.device());
  CheckLaunch(
      "copy_pinned_",
      cudaMemcpyAsync(static_cast<char*>(to.mutable_data_ptr()) + at,
                      from.const_data_ptr(), static_cast<size_t>(bytes),
                      cudaMemcpyHostToDevice,
                      static_cast<cudaStream_t>(StreamOf(to.device()))));
}

// cuBLAS's work space, which LibTorch keeps for each thread's next product.
void ReleaseWorkspaces() { at::cuda::clearCublasWorkspaces(); }

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("cuda_card_name(int device) -> str",
        sinkwatch::kernels::cuda::CardName);
  m.def("cuda_bound_memory(int device, int bytes) -> ()",
        sinkwatch::kernels::cuda::BoundMemory);
  m.def("cuda_copy_stream(int device) -> int",
        sinkwatch::kernels::cuda::CopyStream);
  m.def("cuda_release_workspaces() -> ()",
        sinkwatch::kernels::cuda::ReleaseWorkspaces);
  m.def("copy_pinned_(Tensor(a!) to, int at, Tensor pinned, int bytes) -> ()");
}

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("copy_pinned_", sinkwatch::kernels::cuda::CopyPinned);
}

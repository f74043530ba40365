// What a worker asks of CUDA beside operators; LibTorch's neutral interface has
// neither.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>

#include "c10/cuda/CUDACachingAllocator.h"
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

// cuBLAS's work space, which LibTorch keeps for each thread's next product.
void ReleaseWorkspaces() { at::cuda::clearCublasWorkspaces(); }

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("cuda_card_name(int device) -> str",
        sinkwatch::kernels::cuda::CardName);
  m.def("cuda_bound_memory(int device, int bytes) -> ()",
        sinkwatch::kernels::cuda::BoundMemory);
  m.def("cuda_release_workspaces() -> ()",
        sinkwatch::kernels::cuda::ReleaseWorkspaces);
}

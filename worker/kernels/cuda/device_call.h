#ifndef SINKWATCH_WORKER_KERNELS_CUDA_DEVICE_CALL_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_DEVICE_CALL_H_

#include "ATen/core/Tensor.h"
#include "c10/core/impl/VirtualGuardImpl.h"
#include "c10/util/Exception.h"

// What every operator of this folder needs between tensors and kernels.
namespace sinkwatch::kernels::cuda {

// The current stream of the device, a cudaStream_t.
inline void* StreamOf(at::Device device) {
  const c10::impl::VirtualGuardImpl impl(device.type());
  return impl.getStreamNativeHandle(impl.getStream(device));
}

// Throws c10::AcceleratorError for a cudaError_t that is one.
inline void CheckLaunch(const char* what, int error) {
  if (error == 0) return;
  throw c10::AcceleratorError(
      {__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, error,
      c10::str(what, ": CUDA error ", error));
}

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_DEVICE_CALL_H_

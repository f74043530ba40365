#ifndef SINKWATCH_WORKER_KERNELS_CUDA_HEADS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_HEADS_H_

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "ATen/ops/constant_pad_nd.h"
#include "worker/kernels/cuda/attention_stats_kernels.h"

// Tensors of heads as kernels take them.
namespace sinkwatch::kernels::cuda {

inline bool IsAligned(const at::Tensor& x_BNTE) {
  constexpr int64_t kAlignment = 16;  // bytes, of every row
  const int64_t elements = kAlignment / x_BNTE.element_size();
  return x_BNTE.stride(3) == 1 && x_BNTE.stride(0) % elements == 0 &&
         x_BNTE.stride(1) % elements == 0 && x_BNTE.stride(2) % elements == 0 &&
         reinterpret_cast<uintptr_t>(x_BNTE.const_data_ptr()) % kAlignment == 0;
}

// With heads of a width that there is a kernel for, their elements side by
// side.
inline at::Tensor Prepared(const at::Tensor& x_BNTE, int64_t width) {
  if (x_BNTE.size(3) != width) {
    return at::constant_pad_nd(x_BNTE, {0, width - x_BNTE.size(3)})
        .contiguous();
  }
  return IsAligned(x_BNTE) ? x_BNTE : x_BNTE.contiguous();
}

inline Heads HeadsOf(const at::Tensor& x_BNTE) {
  return {x_BNTE.const_data_ptr(), x_BNTE.stride(0), x_BNTE.stride(1),
          x_BNTE.stride(2)};
}

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_HEADS_H_

// float32 and bfloat16 (as its bits) alike.
#ifndef SINKWATCH_WORKER_KERNELS_CUDA_NUMBERS_CUH_
#define SINKWATCH_WORKER_KERNELS_CUDA_NUMBERS_CUH_

#include <cstdint>

namespace sinkwatch::kernels::cuda {

__device__ __forceinline__ float ToFloat(float x) { return x; }
__device__ __forceinline__ float ToFloat(uint16_t bits) {
  return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

__device__ __forceinline__ void Assign(float& to, float x) { to = x; }
// To nearest, ties to even; what is not a number stays so.
__device__ __forceinline__ void Assign(uint16_t& to, float x) {
  const uint32_t bits = __float_as_uint(x);
  to = x == x ? (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16 : 0x7fc0u;
}

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_NUMBERS_CUH_

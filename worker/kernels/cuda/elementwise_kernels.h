#ifndef SINKWATCH_WORKER_KERNELS_CUDA_ELEMENTWISE_KERNELS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_ELEMENTWISE_KERNELS_H_

#include <cstdint>

// What nvcc compiles and a host compiler calls: no torch and no CUDA headers.
// `stream` is a cudaStream_t, results are a cudaError_t.
namespace sinkwatch::kernels::cuda {

// Rotary positions by halves of the first 2 `pairs` elements of each head, the
// rest copied: x [B,H,T,E] with these strides (E is contiguous) to y [B,T,H,E],
// contiguous. Angles are t * inverse[i] in float32.
struct RotaryCall {
  const void* x = nullptr;
  void* y = nullptr;
  bool bfloat16 = false;
  int64_t batch = 0, heads = 0, tokens = 0, width = 0;
  int64_t batch_stride = 0, head_stride = 0, token_stride = 0;
  const float* inverse = nullptr;  // [pairs]
  int64_t pairs = 0;
  float factor = 1;  // of cosine and sine
};
int LaunchRotary(const RotaryCall& call, void* stream);

// gate = silu(gate) * up, each rounded to the dtype, over n elements.
int LaunchSiluTimes(void* gate, const void* up, int64_t n, bool bfloat16,
                    void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_ELEMENTWISE_KERNELS_H_

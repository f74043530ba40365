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
  // Where there is a weight [H,E]: first x / rms(x) over the heads of a token
  // together, times it, rounded once.
  const void* norm_weight = nullptr;
  float norm_epsilon = 0;
};
int LaunchRotary(const RotaryCall& call, void* stream);
// Whether a call may have a norm: not every form of x has a kernel for it.
bool RotaryTakesNorm(const RotaryCall& call);

// y = x / rms(x) of each row, times the weight if there is one, plus the
// residual if there is one; y and the residual are dense.
struct NormCall {
  const void* x = nullptr;
  int64_t row_stride = 0;  // elements
  void* y = nullptr;
  const void* weight = nullptr;    // [width]
  const void* residual = nullptr;  // [rows,width]
  bool bfloat16 = false;
  bool wide = false;  // x / rms(x) is not rounded before it meets the weight
  int64_t rows = 0;
  int width = 0;
  float epsilon = 0;
};
int LaunchRmsNorm(const NormCall& call, void* stream);

// gate = silu(gate) * up, each rounded to the dtype, over rows of n elements
// that begin so many elements apart.
struct SiluTimesCall {
  void* gate = nullptr;
  const void* up = nullptr;
  int64_t gate_stride = 0, up_stride = 0;
  int64_t rows = 0, n = 0;
  bool bfloat16 = false;
};
int LaunchSiluTimes(const SiluTimesCall& call, void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_ELEMENTWISE_KERNELS_H_

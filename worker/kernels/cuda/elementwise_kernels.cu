// What a block computes element by element between its products, each in one
// reading and one writing.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/elementwise_kernels.h"
#include "worker/kernels/cuda/numbers.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// A block per token: the angles are worked out once for its heads.
template <typename Element>
__global__ void __launch_bounds__(kThreads) Rotary(RotaryCall call) {
  extern __shared__ float turns[];  // cosines, then sines
  const int64_t t = blockIdx.x, b = blockIdx.y;
  const int pairs = static_cast<int>(call.pairs);
  for (int i = threadIdx.x; i < pairs; i += kThreads) {
    const float angle = static_cast<float>(t) * call.inverse[i];
    turns[i] = cosf(angle) * call.factor;
    turns[pairs + i] = sinf(angle) * call.factor;
  }
  __syncthreads();
  const Element* const from = static_cast<const Element*>(call.x) +
                              b * call.batch_stride + t * call.token_stride;
  Element* const to = static_cast<Element*>(call.y) +
                      (b * call.tokens + t) * call.heads * call.width;
  const int rest = static_cast<int>(call.width) - 2 * pairs;
  const int items = pairs + rest;
  for (int i = threadIdx.x; i < call.heads * items; i += kThreads) {
    const int head = i / items, item = i % items;
    const Element* const x = from + head * call.head_stride;
    Element* const y = to + head * call.width;
    if (item >= pairs) {
      y[pairs + item] = x[pairs + item];
      continue;
    }
    const float first = ToFloat(x[item]), second = ToFloat(x[pairs + item]);
    const float cosine = turns[item], sine = turns[pairs + item];
    Assign(y[item], first * cosine - second * sine);
    Assign(y[pairs + item], second * cosine + first * sine);
  }
}

template <typename Element>
__global__ void __launch_bounds__(kThreads)
    SiluTimes(Element* gate, const Element* up, int64_t n) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       i < n; i += stride) {
    const float x = ToFloat(gate[i]);
    Element silu;
    Assign(silu, x / (1 + expf(-x)));
    Assign(gate[i], ToFloat(silu) * ToFloat(up[i]));
  }
}

// Eight elements of bfloat16 at a time.
__global__ void __launch_bounds__(kThreads)
    SiluTimesEights(uint4* gate, const uint4* up, int64_t n) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
       i < n; i += stride) {
    uint4 g = gate[i];
    const uint4 u = up[i];
    uint16_t* const a = reinterpret_cast<uint16_t*>(&g);
    const uint16_t* const b = reinterpret_cast<const uint16_t*>(&u);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float x = ToFloat(a[j]);
      uint16_t silu;
      Assign(silu, x / (1 + __expf(-x)));
      Assign(a[j], ToFloat(silu) * ToFloat(b[j]));
    }
    gate[i] = g;
  }
}

int BlocksFor(int64_t n) {
  const int64_t blocks = (n + kThreads - 1) / kThreads;
  return static_cast<int>(blocks < 8192 ? blocks : 8192);
}

}  // namespace

int LaunchRotary(const RotaryCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const dim3 grid(static_cast<unsigned>(call.tokens),
                  static_cast<unsigned>(call.batch));
  const size_t shared = 2 * call.pairs * sizeof(float);
  if (call.bfloat16) {
    Rotary<uint16_t><<<grid, kThreads, shared, on>>>(call);
  } else {
    Rotary<float><<<grid, kThreads, shared, on>>>(call);
  }
  return cudaGetLastError();
}

int LaunchSiluTimes(void* gate, const void* up, int64_t n, bool bfloat16,
                    void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const bool by_eights = bfloat16 && n % 8 == 0 &&
                         reinterpret_cast<uintptr_t>(gate) % 16 == 0 &&
                         reinterpret_cast<uintptr_t>(up) % 16 == 0;
  if (by_eights) {
    SiluTimesEights<<<BlocksFor(n / 8), kThreads, 0, on>>>(
        static_cast<uint4*>(gate), static_cast<const uint4*>(up), n / 8);
  } else if (bfloat16) {
    SiluTimes<uint16_t><<<BlocksFor(n), kThreads, 0, on>>>(
        static_cast<uint16_t*>(gate), static_cast<const uint16_t*>(up), n);
  } else {
    SiluTimes<float><<<BlocksFor(n), kThreads, 0, on>>>(
        static_cast<float*>(gate), static_cast<const float*>(up), n);
  }
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

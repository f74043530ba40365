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

// The same eight pairs of bfloat16 at a time, some tokens a block; every element
// of a head is turned.
constexpr int kTokensOfBlock = 4;
__global__ void __launch_bounds__(kThreads) RotaryEights(RotaryCall call) {
  extern __shared__ float turns[];  // of each token: cosines, then sines
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kTokensOfBlock,
                b = blockIdx.y;
  const int tokens = static_cast<int>(
      min(static_cast<int64_t>(kTokensOfBlock), call.tokens - first));
  const int pairs = static_cast<int>(call.pairs);
  for (int i = threadIdx.x; i < tokens * pairs; i += kThreads) {
    const int token = i / pairs, pair = i % pairs;
    const float angle =
        static_cast<float>(first + token) * call.inverse[pair];
    turns[2 * token * pairs + pair] = cosf(angle) * call.factor;
    turns[(2 * token + 1) * pairs + pair] = sinf(angle) * call.factor;
  }
  __syncthreads();
  const int eights = pairs / 8, heads = static_cast<int>(call.heads);
  for (int i = threadIdx.x; i < tokens * heads * eights; i += kThreads) {
    const int item = i % eights * 8, head = i / eights % heads,
              token = i / eights / heads;
    const uint16_t* const x = static_cast<const uint16_t*>(call.x) +
                              b * call.batch_stride +
                              (first + token) * call.token_stride +
                              head * call.head_stride + item;
    uint16_t* const y =
        static_cast<uint16_t*>(call.y) +
        ((b * call.tokens + first + token) * heads + head) * call.width + item;
    uint4 low = *reinterpret_cast<const uint4*>(x),
          high = *reinterpret_cast<const uint4*>(x + pairs);
    uint16_t* const lows = reinterpret_cast<uint16_t*>(&low);
    uint16_t* const highs = reinterpret_cast<uint16_t*>(&high);
    const float* const cosines = turns + 2 * token * pairs + item;
    const float* const sines = cosines + pairs;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float one = ToFloat(lows[j]), other = ToFloat(highs[j]);
      Assign(lows[j], one * cosines[j] - other * sines[j]);
      Assign(highs[j], other * cosines[j] + one * sines[j]);
    }
    *reinterpret_cast<uint4*>(y) = low;
    *reinterpret_cast<uint4*>(y + pairs) = high;
  }
}

bool ByEights(const RotaryCall& call) {
  return call.bfloat16 && 2 * call.pairs == call.width && call.pairs % 8 == 0 &&
         call.batch_stride % 8 == 0 && call.head_stride % 8 == 0 &&
         call.token_stride % 8 == 0 &&
         reinterpret_cast<uintptr_t>(call.x) % 16 == 0 &&
         reinterpret_cast<uintptr_t>(call.y) % 16 == 0;
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
  if (ByEights(call)) {
    const dim3 blocks(
        static_cast<unsigned>((call.tokens + kTokensOfBlock - 1) /
                              kTokensOfBlock),
        static_cast<unsigned>(call.batch));
    RotaryEights<<<blocks, kThreads, kTokensOfBlock * shared, on>>>(call);
  } else if (call.bfloat16) {
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

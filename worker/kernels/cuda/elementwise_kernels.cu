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

// 1 / rms of each of a block's tokens over all heads, two warps a token, to
// shared memory; call.norm_weight is there.
constexpr int kTokensOfBlock = 4;
constexpr int kWarp = 32;
constexpr int kWarpsOfToken = kThreads / kWarp / kTokensOfBlock;
__device__ void InverseRms(const RotaryCall& call, const uint16_t* x,
                           int tokens,
                           float (&squares)[kTokensOfBlock][kWarpsOfToken]) {
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int token = warp / kWarpsOfToken, part = warp % kWarpsOfToken;
  if (token >= tokens) return;
  const int eights = static_cast<int>(call.heads * call.width / 8);
  const uint4* const row =
      reinterpret_cast<const uint4*>(x + token * call.token_stride);
  float sum = 0;
  for (int i = part * kWarp + lane; i < eights; i += kWarpsOfToken * kWarp) {
    const uint4 eight = row[i];
    const uint16_t* const values = reinterpret_cast<const uint16_t*>(&eight);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      sum = fmaf(ToFloat(values[j]), ToFloat(values[j]), sum);
    }
  }
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    sum += __shfl_xor_sync(~0u, sum, mask);
  }
  if (lane == 0) squares[token][part] = sum;
}

// Eight elements of a normed row.
__device__ __forceinline__ void NormEight(uint16_t* values, float inverse,
                                          const void* weight, int column) {
  const uint4 eight =
      reinterpret_cast<const uint4*>(weight)[column / 8];
  const uint16_t* const weights = reinterpret_cast<const uint16_t*>(&eight);
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    Assign(values[j], ToFloat(values[j]) * inverse * ToFloat(weights[j]));
  }
}

// The same eight pairs of bfloat16 at a time, some tokens a block; every element
// of a head is turned.
__global__ void __launch_bounds__(kThreads) RotaryEights(RotaryCall call) {
  extern __shared__ float turns[];  // of each token: cosines, then sines
  __shared__ float squares[kTokensOfBlock][kWarpsOfToken];
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
  const uint16_t* const of_block = static_cast<const uint16_t*>(call.x) +
                                   b * call.batch_stride +
                                   first * call.token_stride;
  if (call.norm_weight != nullptr) InverseRms(call, of_block, tokens, squares);
  __syncthreads();
  const int eights = pairs / 8, heads = static_cast<int>(call.heads);
  for (int i = threadIdx.x; i < tokens * heads * eights; i += kThreads) {
    const int item = i % eights * 8, head = i / eights % heads,
              token = i / eights / heads;
    const uint16_t* const x =
        of_block + token * call.token_stride + head * call.head_stride + item;
    uint16_t* const y =
        static_cast<uint16_t*>(call.y) +
        ((b * call.tokens + first + token) * heads + head) * call.width + item;
    uint4 low = *reinterpret_cast<const uint4*>(x),
          high = *reinterpret_cast<const uint4*>(x + pairs);
    uint16_t* const lows = reinterpret_cast<uint16_t*>(&low);
    uint16_t* const highs = reinterpret_cast<uint16_t*>(&high);
    if (call.norm_weight != nullptr) {
      const float mean = (squares[token][0] + squares[token][1]) /
                         static_cast<float>(heads * call.width);
      const float inverse = rsqrtf(mean + call.norm_epsilon);
      const int column = head * static_cast<int>(call.width) + item;
      NormEight(lows, inverse, call.norm_weight, column);
      NormEight(highs, inverse, call.norm_weight, column + pairs);
    }
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

// A block a row.
template <typename Element>
__global__ void __launch_bounds__(kThreads) SiluTimes(SiluTimesCall call) {
  const int64_t row = blockIdx.x;
  Element* const gate =
      static_cast<Element*>(call.gate) + row * call.gate_stride;
  const Element* const up =
      static_cast<const Element*>(call.up) + row * call.up_stride;
  for (int64_t i = threadIdx.x; i < call.n; i += kThreads) {
    const float x = ToFloat(gate[i]);
    Element silu;
    Assign(silu, x / (1 + expf(-x)));
    Assign(gate[i], ToFloat(silu) * ToFloat(up[i]));
  }
}

// Eight elements of bfloat16 at a time.
__global__ void __launch_bounds__(kThreads)
    SiluTimesEights(SiluTimesCall call) {
  const int64_t row = blockIdx.x;
  uint4* const gate = reinterpret_cast<uint4*>(
      static_cast<uint16_t*>(call.gate) + row * call.gate_stride);
  const uint4* const up = reinterpret_cast<const uint4*>(
      static_cast<const uint16_t*>(call.up) + row * call.up_stride);
  for (int64_t i = threadIdx.x; i < call.n / 8; i += kThreads) {
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

bool RotaryTakesNorm(const RotaryCall& call) {
  return ByEights(call) && call.head_stride == call.width;
}

int LaunchSiluTimes(const SiluTimesCall& call, void* stream) {
  if (call.rows == 0) return cudaSuccess;
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const auto blocks = static_cast<unsigned>(call.rows);
  const bool by_eights = call.bfloat16 && call.n % 8 == 0 &&
                         call.gate_stride % 8 == 0 && call.up_stride % 8 == 0 &&
                         reinterpret_cast<uintptr_t>(call.gate) % 16 == 0 &&
                         reinterpret_cast<uintptr_t>(call.up) % 16 == 0;
  if (by_eights) {
    SiluTimesEights<<<blocks, kThreads, 0, on>>>(call);
  } else if (call.bfloat16) {
    SiluTimes<uint16_t><<<blocks, kThreads, 0, on>>>(call);
  } else {
    SiluTimes<float><<<blocks, kThreads, 0, on>>>(call);
  }
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

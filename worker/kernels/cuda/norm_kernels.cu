// Root mean square norms of rows, with their weight and what is added behind
// it in the same reading.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/elementwise_kernels.h"
#include "worker/kernels/cuda/numbers.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kMaxHeldBytes = 64;  // of a row, by each of its threads

// Of the kLanes threads that have a row: all of a block, or a warp.
template <int kLanes>
__device__ __forceinline__ float SumOfLanes(float x) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    x += __shfl_xor_sync(~0u, x, mask);
  }
  if (kLanes == kWarp) return x;
  __shared__ float of_warps[kThreads / kWarp];
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (const float warp : of_warps) sum += warp;
  return sum;
}

// An element of the norm of x, and of its sum with a residual, each rounded;
// where there is no weight or residual, what stands for it is not looked at.
template <typename Element>
__device__ __forceinline__ Element Norm(const NormCall& call, Element x,
                                        float inverse, Element weight,
                                        Element residual) {
  float n = ToFloat(x) * inverse;
  if (call.weight != nullptr) {
    if (!call.wide) {
      Assign(x, n);
      n = ToFloat(x);
    }
    n *= ToFloat(weight);
  }
  Assign(x, n);
  if (call.residual != nullptr) Assign(x, ToFloat(residual) + ToFloat(x));
  return x;
}

// The same of 16 bytes, whose first element is `column` of the row.
template <typename Element>
__device__ __forceinline__ void NormHeld(const NormCall& call, uint4& held,
                                         float inverse, int64_t row,
                                         int column) {
  const auto load = [](const void* from, int64_t at) {
    return from == nullptr ? uint4{}
                           : *reinterpret_cast<const uint4*>(
                                 static_cast<const Element*>(from) + at);
  };
  const uint4 weight = load(call.weight, column),
              residual = load(call.residual, row * call.width + column);
  Element* const values = reinterpret_cast<Element*>(&held);
  const Element* const weights = reinterpret_cast<const Element*>(&weight);
  const Element* const residuals = reinterpret_cast<const Element*>(&residual);
#pragma unroll
  for (int i = 0; i < 16 / static_cast<int>(sizeof(Element)); ++i) {
    values[i] = Norm(call, values[i], inverse, weights[i], residuals[i]);
  }
}

// Rows that their threads hold between both uses, 16 bytes at a time.
template <typename Element, int kLanes>
__global__ void __launch_bounds__(kThreads) HeldRmsNorm(NormCall call) {
  constexpr int kPerLoad = 16 / sizeof(Element);
  constexpr int kLoads = kMaxHeldBytes / 16;
  const int64_t row =
      static_cast<int64_t>(blockIdx.x) * (kThreads / kLanes) +
      threadIdx.x / kLanes;
  if (row >= call.rows) return;  // a whole warp, or the block
  const Element* const x =
      static_cast<const Element*>(call.x) + row * call.row_stride;
  Element* const y = static_cast<Element*>(call.y) + row * call.width;
  const int first = threadIdx.x % kLanes * kPerLoad;
  uint4 held[kLoads];
  float sum = 0;
#pragma unroll
  for (int j = 0; j < kLoads; ++j) {
    const int column = first + j * kLanes * kPerLoad;
    if (column < call.width) {
      held[j] = *reinterpret_cast<const uint4*>(x + column);
      const Element* const values = reinterpret_cast<const Element*>(&held[j]);
#pragma unroll
      for (int i = 0; i < kPerLoad; ++i) {
        sum = fmaf(ToFloat(values[i]), ToFloat(values[i]), sum);
      }
    }
  }
  const float inverse =
      rsqrtf(SumOfLanes<kLanes>(sum) / call.width + call.epsilon);
#pragma unroll
  for (int j = 0; j < kLoads; ++j) {
    const int column = first + j * kLanes * kPerLoad;
    if (column < call.width) {
      NormHeld<Element>(call, held[j], inverse, row, column);
      *reinterpret_cast<uint4*>(y + column) = held[j];
    }
  }
}

// Rows of any width, anywhere.
template <typename Element>
__global__ void __launch_bounds__(kThreads) AnyRmsNorm(NormCall call) {
  const int64_t row = blockIdx.x;
  const Element* const x =
      static_cast<const Element*>(call.x) + row * call.row_stride;
  Element* const y = static_cast<Element*>(call.y) + row * call.width;
  float sum = 0;
  for (int i = threadIdx.x; i < call.width; i += kThreads) {
    sum = fmaf(ToFloat(x[i]), ToFloat(x[i]), sum);
  }
  const float inverse =
      rsqrtf(SumOfLanes<kThreads>(sum) / call.width + call.epsilon);
  const Element* const weight = static_cast<const Element*>(call.weight);
  const Element* const residual = static_cast<const Element*>(call.residual);
  for (int i = threadIdx.x; i < call.width; i += kThreads) {
    y[i] = Norm(call, x[i], inverse, weight == nullptr ? Element() : weight[i],
                residual == nullptr ? Element()
                                    : residual[row * call.width + i]);
  }
}

bool IsAligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

template <typename Element>
void Launch(const NormCall& call, cudaStream_t stream) {
  constexpr int kPerLoad = 16 / sizeof(Element);
  const int64_t bytes = static_cast<int64_t>(call.width) * sizeof(Element);
  const auto blocks = [&](int64_t rows_of_block) {
    return static_cast<unsigned>((call.rows + rows_of_block - 1) /
                                 rows_of_block);
  };
  if (call.width % kPerLoad != 0 || call.row_stride % kPerLoad != 0 ||
      bytes > kThreads * kMaxHeldBytes || !IsAligned(call.x) ||
      !IsAligned(call.y) || !IsAligned(call.weight) ||
      !IsAligned(call.residual)) {
    AnyRmsNorm<Element><<<blocks(1), kThreads, 0, stream>>>(call);
  } else if (bytes > kWarp * kMaxHeldBytes) {
    HeldRmsNorm<Element, kThreads><<<blocks(1), kThreads, 0, stream>>>(call);
  } else {
    HeldRmsNorm<Element, kWarp>
        <<<blocks(kThreads / kWarp), kThreads, 0, stream>>>(call);
  }
}

}  // namespace

int LaunchRmsNorm(const NormCall& call, void* stream) {
  if (call.rows == 0) return cudaSuccess;
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  call.bfloat16 ? Launch<uint16_t>(call, on) : Launch<float>(call, on);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

// Lengths, sums, largest values and powers of the rows of a stream, a block a
// row.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/numbers.cuh"
#include "worker/kernels/cuda/row_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// Calls f(x) for this thread's share of the row, 16 bytes at a time where that
// is possible.
template <typename Element, typename F>
__device__ __forceinline__ void ForEachOfRow(const RowMomentsCall& call, F f) {
  constexpr int kPerLoad = 16 / sizeof(Element);
  const Element* const x =
      static_cast<const Element*>(call.x) + blockIdx.x * call.width;
  const bool wide = call.width % kPerLoad == 0 &&
                    reinterpret_cast<uintptr_t>(call.x) % 16 == 0;
  if (!wide) {
    for (int64_t i = threadIdx.x; i < call.width; i += kThreads) {
      f(ToFloat(x[i]));
    }
    return;
  }
  const uint4* const loads = reinterpret_cast<const uint4*>(x);
  for (int64_t i = threadIdx.x; i < call.width / kPerLoad; i += kThreads) {
    const uint4 load = loads[i];
    const Element* const values = reinterpret_cast<const Element*>(&load);
#pragma unroll
    for (int j = 0; j < kPerLoad; ++j) f(ToFloat(values[j]));
  }
}

__device__ float SumOfBlock(float x, float* shared) {
  for (int mask = 16; mask > 0; mask /= 2) {
    x += __shfl_xor_sync(~0u, x, mask);
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int warp = 0; warp < kThreads / 32; ++warp) sum += shared[warp];
  return sum;
}

__device__ float LargestOfBlock(float x, float* shared) {
  for (int mask = 16; mask > 0; mask /= 2) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, mask));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float largest = 0;
  for (int warp = 0; warp < kThreads / 32; ++warp) {
    largest = fmaxf(largest, shared[warp]);
  }
  return largest;
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) Sums(RowMomentsCall call) {
  __shared__ float shared[kThreads / 32];
  float squares = 0, sum = 0, largest = 0;
  ForEachOfRow<Element>(call, [&](float x) {
    squares = fmaf(x, x, squares);
    sum += x;
    largest = fmaxf(largest, fabsf(x));
  });
  squares = SumOfBlock(squares, shared);
  sum = SumOfBlock(sum, shared);
  largest = LargestOfBlock(largest, shared);
  if (threadIdx.x > 0) return;
  // fmaxf loses a NaN.
  const float bad = sum == sum ? 0.0f : sum;
  call.result[blockIdx.x] = sqrtf(squares) + bad;
  call.result[call.rows + blockIdx.x] = sum;
  call.result[2 * call.rows + blockIdx.x] = largest + bad;
}

template <typename Element>
__global__ void __launch_bounds__(kThreads) Powers(RowMomentsCall call) {
  __shared__ float shared[kThreads / 32];
  const float mean = call.mean[blockIdx.x / call.tokens];
  float second = 0, fourth = 0;
  ForEachOfRow<Element>(call, [&](float x) {
    const float square = (x - mean) * (x - mean);
    second += square;
    fourth = fmaf(square, square, fourth);
  });
  second = SumOfBlock(second, shared);
  fourth = SumOfBlock(fourth, shared);
  if (threadIdx.x > 0) return;
  call.result[blockIdx.x] = second;
  call.result[call.rows + blockIdx.x] = fourth;
}

}  // namespace

int LaunchRowMoments(const RowMomentsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const int rows = static_cast<int>(call.rows);
  if (call.mean == nullptr) {
    call.bfloat16 ? Sums<uint16_t><<<rows, kThreads, 0, on>>>(call)
                  : Sums<float><<<rows, kThreads, 0, on>>>(call);
  } else {
    call.bfloat16 ? Powers<uint16_t><<<rows, kThreads, 0, on>>>(call)
                  : Powers<float><<<rows, kThreads, 0, on>>>(call);
  }
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

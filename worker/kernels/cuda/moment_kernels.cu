// Lengths, sums, largest values and powers of the rows of a stream, a warp a
// row.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/numbers.cuh"
#include "worker/kernels/cuda/row_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;

// Calls f(values, count) for this lane's share of the row, 16 bytes at a time
// where that is possible.
template <typename Element, typename F>
__device__ __forceinline__ void ForEachOfRow(const RowMomentsCall& call,
                                             int64_t row, F f) {
  constexpr int kPerLoad = 16 / sizeof(Element);
  const int lane = threadIdx.x % kWarp;
  const Element* const x =
      static_cast<const Element*>(call.x) + row * call.width;
  const bool wide = call.width % kPerLoad == 0 &&
                    reinterpret_cast<uintptr_t>(call.x) % 16 == 0;
  if (!wide) {
    for (int64_t i = lane; i < call.width; i += kWarp) f(x + i, 1);
    return;
  }
  const uint4* const loads = reinterpret_cast<const uint4*>(x);
#pragma unroll 4
  for (int64_t i = lane; i < call.width / kPerLoad; i += kWarp) {
    const uint4 load = loads[i];
    f(reinterpret_cast<const Element*>(&load), kPerLoad);
  }
}

// Sums of powers of a lane's numbers, in double: central moments are told from
// them, whose digits a large mean cancels.
struct Powers {
  template <typename Element>
  __device__ __forceinline__ void Add(const Element* values, int count) {
#pragma unroll
    for (int j = 0; j < 16 / static_cast<int>(sizeof(Element)); ++j) {
      if (j >= count) break;
      const float value = ToFloat(values[j]);
      const double x = value, square = x * x;
      sum[0] += x;
      sum[1] += square;
      sum[2] = fma(square, x, sum[2]);
      sum[3] = fma(square, square, sum[3]);
      largest = fmaxf(largest, fabsf(value));
    }
  }
  __device__ __forceinline__ void Join() {
#pragma unroll
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
#pragma unroll
      for (int p = 0; p < 4; ++p) {
        sum[p] += __shfl_xor_sync(~0u, sum[p], mask);
      }
      largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, mask));
    }
  }
  double sum[4] = {};
  float largest = 0;
};

template <typename Element>
__global__ void __launch_bounds__(kThreads) Sums(RowMomentsCall call) {
  const int64_t row =
      static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (row >= call.rows) return;  // a whole warp
  Powers powers;
  ForEachOfRow<Element>(call, row, [&](const Element* values, int count) {
    powers.Add(values, count);
  });
  powers.Join();
  if (threadIdx.x % kWarp > 0) return;
  const float sum = static_cast<float>(powers.sum[0]);
  // fmaxf loses a NaN.
  const float bad = sum == sum ? 0.0f : sum;
  call.sums[row] = static_cast<float>(sqrt(powers.sum[1])) + bad;
  call.sums[call.rows + row] = sum;
  call.sums[2 * call.rows + row] = powers.largest + bad;
#pragma unroll
  for (int p = 0; p < 4; ++p) call.powers[p * call.rows + row] = powers.sum[p];
}

__device__ double SumOfBlock(double x, double* shared) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    x += __shfl_xor_sync(~0u, x, mask);
  }
  __syncthreads();
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = x;
  __syncthreads();
  double sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += shared[warp];
  return sum;
}

// A block a sequence: central moments from sums of powers (row_moments.cc).
__global__ void __launch_bounds__(kThreads) Kurtosis(KurtosisCall call) {
  __shared__ double shared[kWarps];
  const double n = static_cast<double>(call.tokens * call.width);
  double mean[4];
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    const double* const of_rows =
        call.powers + (p * call.sequences + blockIdx.x) * call.tokens;
    double sum = 0;
    for (int64_t t = threadIdx.x; t < call.tokens; t += kThreads) {
      sum += of_rows[t];
    }
    mean[p] = SumOfBlock(sum, shared) / n;
  }
  if (threadIdx.x > 0) return;
  const double square = mean[0] * mean[0];
  const double second = mean[1] - square;
  const double fourth = mean[3] - 4 * mean[0] * mean[2] +
                        6 * square * mean[1] - 3 * square * square;
  call.kurtosis[blockIdx.x] = fourth / (second * second + 1e-6);
}

}  // namespace

int LaunchRowMoments(const RowMomentsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const auto blocks = static_cast<unsigned>((call.rows + kWarps - 1) / kWarps);
  call.bfloat16 ? Sums<uint16_t><<<blocks, kThreads, 0, on>>>(call)
                : Sums<float><<<blocks, kThreads, 0, on>>>(call);
  return cudaGetLastError();
}

int LaunchKurtosis(const KurtosisCall& call, void* stream) {
  Kurtosis<<<static_cast<unsigned>(call.sequences), kThreads, 0,
             static_cast<cudaStream_t>(stream)>>>(call);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

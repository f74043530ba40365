// Cholesky's factors of Gram matrices, a block a matrix. The matrix stays in
// registers, its elements dealt out to threads by rows and columns; only the
// row that is eliminated goes through shared memory.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/head_kernels.h"
#include "worker/kernels/gram_rule.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kLanes = 32;  // a lane has columns lane, lane + 32, ...
constexpr int kWarps = 16;  // a warp has rows warp, warp + 16, ...
constexpr int kColumns = static_cast<int>(kMaxGramWidth) / kLanes;
constexpr int kRows = static_cast<int>(kMaxGramWidth) / kWarps;

// A thread's elements: of row warp + 16 a and column lane + 32 b. What is told
// in float32 is computed in it: the ridge is larger than its rounding.
template <typename Number>
struct Elements {
  Number at[kRows][kColumns];
};

template <typename Number>
__device__ __forceinline__ void Load(const GramFactorCall& call, int warp,
                                     int lane, Elements<Number>& m) {
  const int64_t size = static_cast<int64_t>(call.width) * call.width;
  const Number* const gram = static_cast<const Number*>(call.gram);
#pragma unroll
  for (int a = 0; a < kRows; ++a) {
#pragma unroll
    for (int b = 0; b < kColumns; ++b) {
      const int i = warp + kWarps * a, k = lane + kLanes * b;
      const bool there = i < call.width && k < call.width;
      Number sum = 0;
      for (int part = 0; there && part < call.parts; ++part) {
        sum +=
            gram[(part * call.heads + blockIdx.x) * size + i * call.width + k];
      }
      m.at[a][b] = sum;
    }
  }
}

// The largest diagonal element of the matrix; what is no number is larger.
template <typename Number>
__device__ __forceinline__ Number LargestOf(const Number* diagonal, int width,
                                            int lane) {
  Number largest = diagonal[0];
  const auto take = [&](Number x) {
    if (largest == largest && (x > largest || x != x)) largest = x;
  };
  for (int k = lane; k < width; k += kLanes) take(diagonal[k]);
#pragma unroll
  for (int mask = kLanes / 2; mask > 0; mask /= 2) {
    take(__shfl_xor_sync(~0u, largest, mask));
  }
  return largest;
}

// Row j over the root of its diagonal element, which is of the thread's column
// `place`: for the rows below, and as a row of the factor.
template <typename Number>
__device__ __forceinline__ void StoreRow(const GramFactorCall& call,
                                         const Number (&mine)[kColumns], int j,
                                         int place, Number* row) {
  const int lane = threadIdx.x % kLanes, width = call.width;
  float* const to =
      call.factor + (static_cast<int64_t>(blockIdx.x) * width + j) * width;
  const Number scale = rsqrt(__shfl_sync(~0u, mine[place], j % kLanes));
#pragma unroll
  for (int b = 0; b < kColumns; ++b) {
    const int k = lane + kLanes * b;
    row[k] = mine[b] * scale;
    if (k < width) to[k] = k < j ? 0.0f : static_cast<float>(row[k]);
  }
}

template <typename Number>
__global__ void __launch_bounds__(kLanes* kWarps)
    GramFactor(GramFactorCall call) {
  __shared__ Number rows[2][kMaxGramWidth];
  __shared__ Number diagonal[kMaxGramWidth];
  const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
  const int width = call.width;
  Elements<Number> m;
  Load(call, warp, lane, m);
  const auto for_diagonal = [&](auto f) {
#pragma unroll
    for (int a = 0; a < kRows; ++a) {
#pragma unroll
      for (int b = 0; b < kColumns; ++b) {
        if (warp + kWarps * a == lane + kLanes * b) {
          f(warp + kWarps * a, m.at[a][b]);
        }
      }
    }
  };
  for_diagonal([&](int i, Number& x) { diagonal[i] = x; });
  __syncthreads();
  constexpr bool kFloats = sizeof(Number) == sizeof(float);
  constexpr auto kPart = static_cast<Number>(kFloats ? kRidgeOfFloats : kRidge);
  constexpr auto kLeast =
      static_cast<Number>(kFloats ? kSmallestRidgeOfFloats : kSmallestRidge);
  const Number ridge = LargestOf(diagonal, width, lane) * kPart + kLeast;
  for_diagonal([&](int, Number& x) { x += ridge; });

  // Rows in turn, warp by warp; which of a thread's rows it is, is known when
  // this is compiled.
#pragma unroll
  for (int a = 0; a < kRows; ++a) {
    for (int turn = 0; turn < kWarps && kWarps * a + turn < width; ++turn) {
      const int j = kWarps * a + turn;
      Number* const row = rows[j % 2];
      if (warp == turn) StoreRow(call, m.at[a], j, a * kWarps / kLanes, row);
      // One barrier a row: rows alternate between two places.
      __syncthreads();
      // Columns left of the row's own are zeros by now.
      const int first_of_row = a * kWarps / kLanes;
      Number above[kColumns];
#pragma unroll
      for (int b = first_of_row; b < kColumns; ++b) {
        above[b] = row[lane + kLanes * b];
      }
#pragma unroll
      for (int below = a; below < kRows; ++below) {
        const int i = warp + kWarps * below;
        if (i <= j) continue;
        const Number factor = row[i];
#pragma unroll
        for (int b = first_of_row; b < kColumns; ++b) {
          m.at[below][b] = fma(-factor, above[b], m.at[below][b]);
        }
      }
    }
  }
}

}  // namespace

int LaunchGramFactor(const GramFactorCall& call, void* stream) {
  const auto heads = static_cast<unsigned>(call.heads);
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  call.floats ? GramFactor<float><<<heads, kLanes * kWarps, 0, on>>>(call)
              : GramFactor<double><<<heads, kLanes * kWarps, 0, on>>>(call);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

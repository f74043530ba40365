// Attention statistics in two passes over q k', neither of which leaves the
// registers: rows first (each block keeps 128 queries and streams keys by),
// then columns (128 keys stay and queries stream by, from the diagonal on),
// with what the first pass learnt of each row.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/attention_rows.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

template <typename Tile>
__global__ void __launch_bounds__(kThreads) RowKernel(AttentionStatsCall call) {
  extern __shared__ __align__(16) unsigned char shared[];
  // Long rows first: they end last.
  TellRows<Tile>(call, shared, (gridDim.z - 1 - blockIdx.z) * kTileRows);
}

template <typename Tile>
__global__ void __launch_bounds__(kThreads)
    ColumnKernel(AttentionStatsCall call) {
  using Element = typename Tile::Element;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ float shifts[Tile::kBuffers][kTileColumns];
  __shared__ float weights[Tile::kBuffers][kTileColumns];
  __shared__ float sink_sums[kThreads];
  Tile tile(shared, call.width);
  const typename Tile::Place place;
  const float c = call.scale * kLog2E;
  const int key_begin = blockIdx.z * kTileRows;
  const int query_last =
      call.window > 0
          ? min(call.tokens - 1, key_begin + kTileRows - 1 + call.window - 1)
          : call.tokens - 1;
  const Element* const q = HeadOf<Element>(call.q, HeadOfBlock());
  const int64_t plane =
      static_cast<int64_t>(call.batch) * call.heads * call.tokens;
  tile.LoadStationary(HeadOf<Element>(call.k, GroupOfBlock(call)),
                      call.k.token_stride, key_begin, call.tokens);
  const auto start = [&](int i) {
    const int buffer = i % Tile::kBuffers;
    tile.StartStreaming(q, call.q.token_stride, i * kTileColumns, call.tokens,
                        buffer);
    CommitCopies();
    if (threadIdx.x < kTileColumns) {
      const int t = i * kTileColumns + threadIdx.x;
      const int64_t at = HeadOffset(call) + t;
      // A query that is not there weighs nothing.
      shifts[buffer][threadIdx.x] = t < call.tokens ? call.scratch[at] : 0;
      weights[buffer][threadIdx.x] =
          t < call.tokens ? call.scratch[plane + at] : 0;
    }
  };

  float mass[kRowsPerThread] = {};
  Products products;
  const int first = key_begin / kTileColumns, last = query_last / kTileColumns;
  start(first);
  for (int i = first; i <= last; ++i) {
    const int buffer = i % Tile::kBuffers;
    const bool ahead = Tile::kBuffers > 1 && i < last;
    if (ahead) start(i + 1);
    ahead ? WaitForCopies<1>() : WaitForCopies<0>();
    __syncthreads();
    tile.Multiply(buffer, products);
    const int query = i * kTileColumns;
    const bool whole = query >= key_begin + kTileRows - 1 &&
                       (call.window == 0 ||
                        query + kTileColumns - 1 < key_begin + call.window);
    ForEach(products, place, [&](int r, int column, float product) {
      const int k = key_begin + place.Row(r), t = query + column;
      const bool seen =
          whole || (k <= t && (call.window == 0 || k > t - call.window));
      const float e = Exp2(fmaf(product, c, -shifts[buffer][column]));
      if (seen) mass[r] = fmaf(e, weights[buffer][column], mass[r]);
    });
    __syncthreads();
    if (Tile::kBuffers == 1 && i < last) start(i + 1);
  }
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    const float sum = SumOfQuad(mass[r]);
    const int k = key_begin + place.Row(r);
    if (place.lane % 4 == r && k >= 1 && k < call.tokens) {
      call.columns[HeadOffset(call) + k] = sum;
    }
  }
  if (key_begin == 0) SumSinkColumn(call, sink_sums);
}

template <typename Tile>
cudaError_t Launch(const AttentionStatsCall& call, cudaStream_t stream) {
  const size_t bytes = Tile::SharedBytes(call.width);
  const dim3 grid = GridOf(call, (call.tokens + kTileRows - 1) / kTileRows);
  for (const auto kernel : {RowKernel<Tile>, ColumnKernel<Tile>}) {
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
        static_cast<int>(bytes));
    if (error != cudaSuccess) return error;
    kernel<<<grid, kThreads, bytes, stream>>>(call);
    const cudaError_t launched = cudaGetLastError();
    if (launched != cudaSuccess) return launched;
  }
  return cudaSuccess;
}

}  // namespace

int LaunchAttentionStats(const AttentionStatsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  if (!call.bfloat16) return Launch<Float32Tile>(call, on);
  return ForBf16Width(call.width, [&](auto width) {
    return Launch<Bf16Tile<decltype(width)::value>>(call, on);
  });
}

}  // namespace sinkwatch::kernels::cuda

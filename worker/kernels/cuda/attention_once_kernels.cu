// Attention statistics in one pass over q k', where the forward pass has told
// each row's log-sum-exp L: with shift = L / ln 2 the exponentials e_k are the
// row's weights already, so that what a block of 128 queries adds to each column
// is known at once. Rows are told from their sums, as in two passes, so that L's
// own rounding cancels in them; columns are as right as L.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/attention_rows.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

// Below this the keys k >= 1 of a row are lost beside key 0, or L is not that of
// the row: it is swept again with its own maximum.
constexpr float kFewestExp = 1e-30f;

constexpr int kWarps = kThreads / 32;

// Halves the columns that a lane has sums of: the others are its partner's.
template <int kHalf>
__device__ __forceinline__ void Exchange(float (&sums)[16], int lane,
                                         int mask) {
  const bool upper = (lane & mask) != 0;
#pragma unroll
  for (int j = 0; j < kHalf; ++j) {
    const float given = upper ? sums[j] : sums[j + kHalf];
    const float kept = upper ? sums[j + kHalf] : sums[j];
    sums[j] = kept + __shfl_xor_sync(~0u, given, mask);
  }
}

// Sums of a warp's 32 rows, for each of the tile's columns.
__device__ __forceinline__ void SumColumns(const Products& e,
                                           const Place& place,
                                           float (&columns)[kTileColumns]) {
  float sums[16];
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      sums[2 * n + j] = (e.at[0][n][j] + e.at[0][n][2 + j]) +
                        (e.at[1][n][j] + e.at[1][n][2 + j]);
    }
  }
  Exchange<8>(sums, place.lane, 16);
  Exchange<4>(sums, place.lane, 8);
  Exchange<2>(sums, place.lane, 4);
  const int n = (place.lane >> 4 & 1) * 4 + (place.lane >> 3 & 1) * 2 +
                (place.lane >> 2 & 1);
  columns[8 * n + place.first_column] = sums[0];
  columns[8 * n + place.first_column + 1] = sums[1];
}

// e_k in place of q.k, and what the row keeps of it: of its size the largest,
// which is all that is told.
__device__ __forceinline__ float TakeOne(float product, float c, RowSums& row) {
  row.largest = fmaxf(row.largest, fabsf(product));
  const float x = fmaf(product, c, -row.shift);
  const float e = Exp2(x);
  row.exp_sum += e;
  row.weighted = fmaf(e, x, row.weighted);
  return e;
}

__device__ __forceinline__ void TakeWhole(Products& products, float c,
                                          RowSums (&rows)[kRowsPerThread]) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& product = products.at[m][n][i];
        RowSums& row = rows[2 * m + i / 2];
        row.below_sum += product;
        product = TakeOne(product, c, row);
      }
    }
  }
}

__device__ __forceinline__ void TakeEdge(Products& products, const Place& place,
                                         int row_begin, int column_begin,
                                         float c,
                                         RowSums (&rows)[kRowsPerThread]) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& product = products.at[m][n][i];
        const int r = 2 * m + i / 2;
        const int t = row_begin + place.Row(r);
        const int k = column_begin + 8 * n + place.first_column + i % 2;
        if (k == 0) rows[r].sink = product;
        if (k == t - 1) rows[r].previous = product;
        if (k >= 1 && k < t) rows[r].below_sum += product;
        product = k >= 1 && k <= t ? TakeOne(product, c, rows[r]) : 0.0f;
      }
    }
  }
}

// Sums of the four threads of a row, which have its shift in common.
__device__ __forceinline__ void Join(RowSums& row) {
#pragma unroll
  for (int mask = 1; mask <= 2; mask *= 2) {
    row.largest = fmaxf(row.largest, __shfl_xor_sync(~0u, row.largest, mask));
    row.exp_sum += __shfl_xor_sync(~0u, row.exp_sum, mask);
    row.weighted += __shfl_xor_sync(~0u, row.weighted, mask);
    row.below_sum += __shfl_xor_sync(~0u, row.below_sum, mask);
    row.sink += __shfl_xor_sync(~0u, row.sink, mask);
    row.previous += __shfl_xor_sync(~0u, row.previous, mask);
  }
}

template <typename Tile>
__global__ void __launch_bounds__(kThreads)
    OnceKernel(AttentionStatsCall call) {
  using Element = typename Tile::Element;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ float of_warps[kWarps][kTileColumns];
  Tile tile(shared, call.width);
  const Place place;
  const float c = call.scale * kLog2E;
  const int row_block = gridDim.x - 1 - blockIdx.x;  // long rows first
  const int row_begin = row_block * kTileRows;
  const int row_last = min(row_begin + kTileRows, call.tokens) - 1;
  const int group = blockIdx.y / (call.heads / call.groups);
  const Element* const k = HeadOf<Element>(call.k, group);
  tile.LoadStationary(HeadOf<Element>(call.q, blockIdx.y), call.q.token_stride,
                      row_begin, call.tokens);
  ForEachLength(tile, [&](int row, float length) {
    const int t = row_begin + row;
    if (t < call.tokens) call.query_norm[HeadOffset(call) + t] = length;
  });
  RowSums rows[kRowsPerThread];
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    const int t = row_begin + place.Row(r);
    // A query that is not there weighs nothing.
    rows[r].shift = t < call.tokens
                        ? call.log_sum_exp[HeadOffset(call) + t] * kLog2E
                        : kInfinity;
  }
  const auto start = [&](int i) {
    tile.StartStreaming(k, call.k.token_stride, i * kTileColumns, call.tokens,
                        i % Tile::kBuffers);
    CommitCopies();
  };
  float* const columns =
      call.column_parts +
      static_cast<int64_t>(row_block) * call.batch * call.heads * call.tokens +
      HeadOffset(call);
  Products products;
  const int last = row_last / kTileColumns;
  start(0);
  for (int i = 0; i <= last; ++i) {
    const bool ahead = Tile::kBuffers > 1 && i < last;
    if (ahead) start(i + 1);
    ahead ? WaitForCopies<1>() : WaitForCopies<0>();
    __syncthreads();
    tile.Multiply(i % Tile::kBuffers, products);
    const int column = i * kTileColumns;
    // The column left of the block's first row is of the last whole tile.
    if (column + kTileColumns == row_begin && place.Row(0) == 0 &&
        place.first_column == 6) {
      rows[0].previous = products.at[0][7][1];
    }
    if (column >= 1 && column + kTileColumns <= row_begin) {
      TakeWhole(products, c, rows);
    } else {
      TakeEdge(products, place, row_begin, column, c, rows);
    }
    SumColumns(products, place, of_warps[threadIdx.x / 32]);
    __syncthreads();
    if (threadIdx.x < kTileColumns && column + threadIdx.x < call.tokens) {
      float sum = 0;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) {
        sum += of_warps[warp][threadIdx.x];
      }
      columns[column + threadIdx.x] = sum;
    }
    if (Tile::kBuffers == 1 && i < last) start(i + 1);
  }
  bool lost = false;
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    Join(rows[r]);
    const int t = row_begin + place.Row(r);
    lost = lost ||
           (t > 0 && t < call.tokens && !(rows[r].exp_sum > kFewestExp));
  }
  if (__syncthreads_or(lost)) {
#pragma unroll
    for (int r = 0; r < kRowsPerThread; ++r) rows[r] = RowSums();
    SweepRows(call, tile, k, row_begin, rows);
    FinishRows(call, row_begin, rows);
    return;
  }
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    const int t = row_begin + place.Row(r);
    if (place.lane % 4 == r && t < call.tokens) Row(call, rows[r], t).Store(c);
  }
}

// Columns from what each block of rows has added, in the order of the rows.
__global__ void __launch_bounds__(kThreads) JoinColumns(AttentionStatsCall call,
                                                        int row_blocks) {
  __shared__ float sink_sums[kThreads];
  const int k = blockIdx.x * kTileRows + threadIdx.x;
  const int64_t heads_tokens =
      static_cast<int64_t>(call.batch) * call.heads * call.tokens;
  if (k >= 1 && k < call.tokens) {
    float sum = 0;
    for (int block = blockIdx.x; block < row_blocks; ++block) {
      sum += call.column_parts[block * heads_tokens + HeadOffset(call) + k];
    }
    call.columns[HeadOffset(call) + k] = sum;
  }
  if (blockIdx.x == 0) SumSinkColumn(call, sink_sums);
}

template <typename Tile>
cudaError_t Launch(const AttentionStatsCall& call, cudaStream_t stream) {
  static_assert(kThreads == kTileRows, "a thread of JoinColumns has a column");
  const size_t bytes = Tile::SharedBytes(call.width);
  const int row_blocks = (call.tokens + kTileRows - 1) / kTileRows;
  const dim3 grid(row_blocks, call.heads, call.batch);
  const cudaError_t error = cudaFuncSetAttribute(
      OnceKernel<Tile>, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (error != cudaSuccess) return error;
  OnceKernel<Tile><<<grid, kThreads, bytes, stream>>>(call);
  const cudaError_t launched = cudaGetLastError();
  if (launched != cudaSuccess) return launched;
  JoinColumns<<<grid, kThreads, 0, stream>>>(call, row_blocks);
  return cudaGetLastError();
}

}  // namespace

int LaunchAttentionStatsOnce(const AttentionStatsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  if (!call.bfloat16) return Launch<Float32Tile>(call, on);
  switch (call.width) {
    case 64:
      return Launch<Bf16Tile<64>>(call, on);
    case 80:
      return Launch<Bf16Tile<80>>(call, on);
    case 96:
      return Launch<Bf16Tile<96>>(call, on);
    case 128:
      // Measured: with the queries in registers 3 to 8 % slower.
      return Launch<Bf16Tile<128, /*kKept=*/false>>(call, on);
    case 256:
      return Launch<Bf16Tile<256>>(call, on);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace sinkwatch::kernels::cuda

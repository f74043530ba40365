// Attention statistics in one pass over q k' (attention_once.cuh) by mma.sync
// and by fused multiply-adds, for every card; and which card has another
// kernel.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/attention_once.cuh"
#include "worker/kernels/cuda/wgmma_tile.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

// Sums of a warp's 32 rows, for each of the tile's columns.
__device__ __forceinline__ void SumColumns(const Products& e,
                                           const MmaPlace& place,
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
  StoreColumns(sums, place, columns);
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

__device__ __forceinline__ void TakeEdge(Products& products,
                                         const MmaPlace& place, int row_begin,
                                         int column_begin, float c,
                                         RowSums (&rows)[kRowsPerThread]) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int r = 2 * m + i / 2;
        TakeEdgeOne(products.at[m][n][i], row_begin + place.Row(r),
                    column_begin + 8 * n + place.first_column + i % 2, c,
                    rows[r]);
      }
    }
  }
}

template <typename Tile>
__global__ void __launch_bounds__(kThreads)
    OnceKernel(AttentionStatsCall call) {
  using Element = typename Tile::Element;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ float of_warps[kWarps][kTileColumns];
  Tile tile(shared, call.width);
  const MmaPlace place;
  const float c = call.scale * kLog2E;
  const int row_block = gridDim.z - 1 - blockIdx.z;  // long rows first
  const int row_begin = row_block * kTileRows;
  const int row_last = min(row_begin + kTileRows, call.tokens) - 1;
  const Element* const k = HeadOf<Element>(call.k, GroupOfBlock(call));
  tile.LoadStationary(HeadOf<Element>(call.q, HeadOfBlock()),
                      call.q.token_stride, row_begin, call.tokens);
  StoreLengths(call, tile, row_begin);
  RowSums rows[kRowsPerThread];
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    rows[r].shift = ShiftOf(call, row_begin + place.Row(r));
  }
  const auto start = [&](int i) {
    tile.StartStreaming(k, call.k.token_stride, i * kTileColumns, call.tokens,
                        i % Tile::kBuffers);
    CommitCopies();
  };
  float* const columns = ColumnParts(call, row_block);
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
    StoreKeyLengths(call, tile, i % Tile::kBuffers, column, row_begin);
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
    AddWarps(of_warps, column, call.tokens, columns);
    if (Tile::kBuffers == 1 && i < last) start(i + 1);
  }
  FinishOnce<Tile>(call, shared, row_begin, rows);
}

// Columns from what each block of rows has added, in the order of the rows.
__global__ void __launch_bounds__(kThreads)
    JoinColumns(AttentionStatsCall call, int row_blocks) {
  __shared__ float sink_sums[kThreads];
  const int k = blockIdx.z * kTileRows + threadIdx.x;
  const int64_t heads_tokens =
      static_cast<int64_t>(call.batch) * call.heads * call.tokens;
  if (k >= 1 && k < call.tokens) {
    float sum = 0;
    for (int block = blockIdx.z; block < row_blocks; ++block) {
      sum += call.column_parts[block * heads_tokens + HeadOffset(call) + k];
    }
    call.columns[HeadOffset(call) + k] = sum;
  }
  if (blockIdx.z == 0) SumSinkColumn(call, sink_sums);
}

template <typename Tile>
cudaError_t Launch(const AttentionStatsCall& call, const dim3& grid,
                   cudaStream_t stream) {
  const size_t bytes = Tile::SharedBytes(call.width);
  const cudaError_t error = cudaFuncSetAttribute(
      OnceKernel<Tile>, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (error != cudaSuccess) return error;
  OnceKernel<Tile><<<grid, kThreads, bytes, stream>>>(call);
  return cudaGetLastError();
}

// Rows, and what each block of them adds to the columns.
cudaError_t LaunchRows(const AttentionStatsCall& call, const dim3& grid,
                       cudaStream_t stream) {
  if (!call.bfloat16) return Launch<Float32Tile>(call, grid, stream);
  if (!call.portable && IsWgmmaWidth(call.width) && CardHasWgmma()) {
    return static_cast<cudaError_t>(LaunchAttentionStatsWgmma(call, stream));
  }
  return ForBf16Width(call.width, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    // Measured at 128: with the queries in registers 3 to 8 % slower.
    return Launch<Bf16Tile<kWidth, (kWidth < 128)>>(call, grid, stream);
  });
}

}  // namespace

int LaunchAttentionStatsOnce(const AttentionStatsCall& call, void* stream) {
  static_assert(kThreads == kTileRows, "a thread of JoinColumns has a column");
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const int row_blocks = (call.tokens + kTileRows - 1) / kTileRows;
  const dim3 grid = GridOf(call, row_blocks);
  const cudaError_t launched = LaunchRows(call, grid, on);
  if (launched != cudaSuccess) return launched;
  JoinColumns<<<grid, kThreads, 0, on>>>(call, row_blocks);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

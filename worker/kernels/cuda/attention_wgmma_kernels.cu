// Attention statistics in one pass over q k' (attention_once.cuh) by wgmma:
// half of a tile's products are on their way while the other half's
// exponentials are taken.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/attention_once.cuh"
#include "worker/kernels/cuda/wgmma_tile.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

#ifdef SINKWATCH_HAS_WGMMA

// Half a tile: 64 rows, two of which are this thread's, and 64 columns. Its
// exponentials are added to `sums`, of the thread's columns, or begin them.
template <bool kBegins>
struct HalfTile {
  __device__ __forceinline__ static void Add(float e, float& sum) {
    sum = kBegins ? e : sum + e;
  }

  // Of columns that all rows see and that lie left of the diagonal; with kFirst
  // the first is column 0.
  template <bool kFirst>
  __device__ __forceinline__ void TakeWhole(const HalfOfProducts& products,
                                            RowSums* rows,
                                            float (&sums)[16]) const {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      float e[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        RowSums& row = rows[i / 2];
        const float product = products[n][i];
        if (kFirst && n == 0 && i % 2 == 0 && place.first_column == 0) {
          row.sink = product;
          e[i] = 0;
        } else {
          row.below_sum += product;
          e[i] = TakeOne(product, c, row);
        }
      }
      Add(e[0] + e[2], sums[2 * n]);
      Add(e[1] + e[3], sums[2 * n + 1]);
    }
    // The column left of the half's first row is of its last whole tile.
    if (column + kTileColumns == row_begin && place.first_row == 0 &&
        place.first_column == 6) {
      rows[0].previous = products[7][1];
    }
  }

  __device__ __forceinline__ void TakeEdge(const HalfOfProducts& products,
                                           RowSums* rows,
                                           float (&sums)[16]) const {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      float e[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        e[i] = products[n][i];
        TakeEdgeOne(e[i], row_begin + place.first_row + 8 * (i / 2),
                    column + 8 * n + place.first_column + i % 2, c,
                    rows[i / 2]);
      }
      Add(e[0] + e[2], sums[2 * n]);
      Add(e[1] + e[3], sums[2 * n + 1]);
    }
  }

  __device__ __forceinline__ void Take(const HalfOfProducts& products,
                                       RowSums* rows, float (&sums)[16]) const {
    if (column > row_begin) {  // right of the diagonal
#pragma unroll
      for (float& sum : sums) Add(0, sum);
      return;
    }
    if (column == row_begin) {
      TakeEdge(products, rows, sums);
    } else if (column == 0) {
      TakeWhole<true>(products, rows, sums);
    } else {
      TakeWhole<false>(products, rows, sums);
    }
  }

  const WgmmaPlace& place;
  int row_begin, column;
  float c;
};

#endif

template <int kWidth>
__global__ void __launch_bounds__(kThreads, 3)
    OnceWgmma(AttentionStatsCall call) {
#ifdef SINKWATCH_HAS_WGMMA
  using Tile = WgmmaTile<kWidth>;
  using Element = typename Tile::Element;
  extern __shared__ __align__(1024) unsigned char shared[];
  // Two, so that one barrier a tile is between writing and reading.
  __shared__ float of_warps[2][kWarps][kTileColumns];
  Tile tile(shared, kWidth);
  const WgmmaPlace place;
  const float c = call.scale * kLog2E;
  const int row_block = gridDim.z - 1 - blockIdx.z;  // long rows first
  const int row_begin = row_block * kTileRows;
  const int row_last = min(row_begin + kTileRows, call.tokens) - 1;
  const Element* const k = HeadOf<Element>(call.k, GroupOfBlock(call));
  const int last = row_last / kTileColumns;
  const auto start = [&](int i) {
    if (i <= last) {
      tile.StartStreaming(k, call.k.token_stride, i * kTileColumns, call.tokens,
                          i % Tile::kBuffers);
    }
    CommitCopies();
  };
  start(0);
  tile.LoadStationary(HeadOf<Element>(call.q, HeadOfBlock()),
                      call.q.token_stride, row_begin, call.tokens);
  start(1);
  StoreLengths(call, tile, row_begin);
  RowSums rows[kRowsPerThread];
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    rows[r].shift = ShiftOf(call, row_begin + place.Row(r));
  }
  float* const columns = ColumnParts(call, row_block);
  for (int i = 0; i <= last; ++i) {
    const int column = i * kTileColumns, buffer = i % Tile::kBuffers;
    HalfOfProducts upper, lower;
    float sums[16];
    Tile::template WaitForStreaming<1>();
    __syncthreads();  // this tile is there
    tile.template Issue<0>(buffer, upper);
    tile.template Issue<1>(buffer, lower);
    StoreKeyLengths(call, tile, buffer, column, row_begin);
    WaitForWgmma<1>();
    Pin(upper);
    HalfTile<true>{place, row_begin, column, c}.Take(upper, rows, sums);
    WaitForWgmma<0>();
    Pin(lower);
    HalfTile<false>{place, row_begin + 64, column, c}.Take(lower, rows + 2,
                                                           sums);
    StoreColumns(sums, place, of_warps[buffer][threadIdx.x / 32]);
    __syncthreads();  // all have done with this tile
    start(i + 2);
    AddWarps(of_warps[buffer], column, call.tokens, columns);
  }
  FinishOnce<Tile>(call, shared, row_begin, rows);
#endif
}

template <int kWidth>
cudaError_t Launch(const AttentionStatsCall& call, cudaStream_t stream) {
  const size_t bytes = WgmmaTile<kWidth>::SharedBytes(kWidth);
  const cudaError_t error = cudaFuncSetAttribute(
      OnceWgmma<kWidth>, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (error != cudaSuccess) return error;
  const dim3 grid = GridOf(call, (call.tokens + kTileRows - 1) / kTileRows);
  OnceWgmma<kWidth><<<grid, kThreads, bytes, stream>>>(call);
  return cudaGetLastError();
}

}  // namespace

int LaunchAttentionStatsWgmma(const AttentionStatsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  return ForWgmmaWidth(call.width, [&](auto width) {
    return Launch<decltype(width)::value>(call, on);
  });
}

}  // namespace sinkwatch::kernels::cuda

// What the kernels of one pass over q k' share, where the forward pass has told
// each row's log-sum-exp L: with shift = L / ln 2 the exponentials e_k are the
// row's weights already, so that what a block of 128 queries adds to each
// column is known at once. Rows are told from their sums, as in two passes, so
// that L's own rounding cancels in them; columns are as right as L.
#ifndef SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_ONCE_CUH_
#define SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_ONCE_CUH_

#include <cuda_runtime.h>

#include "worker/kernels/cuda/attention_rows.cuh"

namespace sinkwatch::kernels::cuda {

// Below this the keys k >= 1 of a row are lost beside key 0, or L is not that
// of the row: it is swept again with its own maximum.
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

// `sums` are a lane's, of its rows, for columns 8 n + first_column and the
// next: they become those of all rows of the warp.
template <typename Place>
__device__ __forceinline__ void StoreColumns(float (&sums)[16],
                                             const Place& place,
                                             float (&columns)[kTileColumns]) {
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

// Where column k may be column 0, the diagonal, or hidden.
__device__ __forceinline__ void TakeEdgeOne(float& product, int t, int k,
                                            float c, RowSums& row) {
  if (k == 0) row.sink = product;
  if (k == t - 1) row.previous = product;
  if (k >= 1 && k < t) row.below_sum += product;
  product = k >= 1 && k <= t ? TakeOne(product, c, row) : 0.0f;
}

// The row's shift, where the forward pass told it: a query that is not there
// weighs nothing.
__device__ __forceinline__ float ShiftOf(const AttentionStatsCall& call,
                                         int t) {
  return t < call.tokens ? call.log_sum_exp[HeadOffset(call) + t] * kLog2E
                         : kInfinity;
}

// Of a block of rows, where its sums of the columns go.
__device__ __forceinline__ float* ColumnParts(const AttentionStatsCall& call,
                                              int row_block) {
  return call.column_parts +
         static_cast<int64_t>(row_block) * call.batch * call.heads *
             call.tokens +
         HeadOffset(call);
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

// Lengths of the block's queries.
template <typename Tile>
__device__ __forceinline__ void StoreLengths(const AttentionStatsCall& call,
                                             Tile& tile, int row_begin) {
  ForEachLength(tile, [&](int row, float length) {
    const int t = row_begin + row;
    if (t < call.tokens) call.query_norm[HeadOffset(call) + t] = length;
  });
}

// Lengths of a tile's keys. A block has those of its own tokens, where its head
// is the first of those that share them.
template <typename Tile>
__device__ __forceinline__ void StoreKeyLengths(const AttentionStatsCall& call,
                                                Tile& tile, int buffer,
                                                int column, int row_begin) {
  const int group = GroupOfBlock(call);
  if (column < row_begin ||
      HeadOfBlock() != group * (call.heads / call.groups)) {
    return;
  }
  float sum = tile.SquaresOfHalf(buffer, threadIdx.x / 2, threadIdx.x % 2);
  sum += __shfl_xor_sync(~0u, sum, 1);
  const int t = column + threadIdx.x / 2;
  if (threadIdx.x % 2 == 0 && t < call.tokens) {
    const int64_t of_head =
        static_cast<int64_t>(SequenceOfBlock()) * call.groups + group;
    call.key_norm[of_head * call.tokens + t] = sqrtf(sum);
  }
}

// Behind a barrier: what the warps have of the tile's columns, in their order.
__device__ __forceinline__ void AddWarps(
    const float (&of_warps)[kWarps][kTileColumns], int column, int tokens,
    float* columns) {
  if (threadIdx.x >= kTileColumns || column + threadIdx.x >= tokens) return;
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    sum += of_warps[warp][threadIdx.x];
  }
  columns[column + threadIdx.x] = sum;
}

// Ends a block: its rows' statistics from their sums, or, where some are lost,
// from another sweep.
template <typename Tile>
__device__ __forceinline__ void FinishOnce(const AttentionStatsCall& call,
                                           void* shared, int row_begin,
                                           RowSums (&rows)[kRowsPerThread]) {
  const typename Tile::Place place;
  bool lost = false;
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    Join(rows[r]);
    const int t = row_begin + place.Row(r);
    lost =
        lost || (t > 0 && t < call.tokens && !(rows[r].exp_sum > kFewestExp));
  }
  // Seldom, so it keeps nothing of what was there before.
  if (__syncthreads_or(lost)) return TellRows<Tile>(call, shared, row_begin);
  StoreRows<Tile>(call, row_begin, rows);
}

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_ONCE_CUH_

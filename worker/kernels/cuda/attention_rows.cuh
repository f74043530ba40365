// A row of attention statistics: what is kept of it while its logits stream by,
// and what is told of it at the end. Legend and definitions: attention_stats.h,
// the arithmetic of a row: README.md of worker/kernels.
//
// Exponents are powers of two: with c = scale / ln 2 a row keeps
// shift = c max_k q.k and e_k = 2^(c q.k - shift), over the columns k >= 1.
#ifndef SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_ROWS_CUH_
#define SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_ROWS_CUH_

#include <cuda_runtime.h>

#include "worker/kernels/cuda/attention_stats_kernels.h"
#include "worker/kernels/cuda/tiles.cuh"
#include "worker/kernels/row_stat.h"

namespace sinkwatch::kernels::cuda {

constexpr float kInfinity = __builtin_huge_valf();
constexpr float kLn2 = 0.693147181f;
constexpr float kLog2E = 1.44269504f;

// 2^x, relative error 2^-22; 0 far below 0.
__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Sum over the four threads that share a row.
__device__ __forceinline__ float SumOfQuad(float x) {
  x += __shfl_xor_sync(~0u, x, 1);
  return x + __shfl_xor_sync(~0u, x, 2);
}

// Blocks are numbered by head, then by sequence, then by what they have of it:
// so those that take longest are begun first, of all heads.
inline dim3 GridOf(const AttentionStatsCall& call, int blocks_of_head) {
  return dim3(call.heads, call.batch, blocks_of_head);
}
__device__ __forceinline__ int HeadOfBlock() { return blockIdx.x; }
__device__ __forceinline__ int SequenceOfBlock() { return blockIdx.y; }
__device__ __forceinline__ int GroupOfBlock(const AttentionStatsCall& call) {
  return blockIdx.x / (call.heads / call.groups);
}

// Where a head's numbers begin in [B,H,T].
__device__ __forceinline__ int64_t HeadOffset(const AttentionStatsCall& call) {
  return (static_cast<int64_t>(SequenceOfBlock()) * call.heads +
          HeadOfBlock()) *
         call.tokens;
}

template <typename Element>
__device__ const Element* HeadOf(const Heads& heads, int head) {
  return static_cast<const Element*>(heads.data) +
         SequenceOfBlock() * heads.batch_stride + head * heads.head_stride;
}

// What is known of a row over the columns k >= 1 seen so far.
struct RowSums {
  // Takes in a larger maximum.
  __device__ __forceinline__ void Raise(float product, float c) {
    if (!(product > largest)) return;
    const float raised = product * c;
    const bool empty = largest == -kInfinity;
    const float down = empty ? 0 : shift - raised;
    const float factor = empty ? 0 : Exp2(down);
    weighted = factor * fmaf(exp_sum, down, weighted);
    exp_sum *= factor;
    largest = product;
    shift = raised;
  }
  __device__ __forceinline__ void Add(float product, float c) {
    const float x = fmaf(product, c, -shift);
    const float e = Exp2(x);
    exp_sum += e;
    weighted = fmaf(e, x, weighted);
  }
  __device__ __forceinline__ void Merge(int lane_mask, float c) {
    RowSums other;
    other.largest = __shfl_xor_sync(~0u, largest, lane_mask);
    other.shift = __shfl_xor_sync(~0u, shift, lane_mask);
    other.exp_sum = __shfl_xor_sync(~0u, exp_sum, lane_mask);
    other.weighted = __shfl_xor_sync(~0u, weighted, lane_mask);
    const float both = fmaxf(largest, other.largest);
    Raise(both, c);
    other.Raise(both, c);
    exp_sum += other.exp_sum;
    weighted += other.weighted;
    smallest = fminf(smallest, __shfl_xor_sync(~0u, smallest, lane_mask));
    below_sum += __shfl_xor_sync(~0u, below_sum, lane_mask);
    sink += __shfl_xor_sync(~0u, sink, lane_mask);
    previous += __shfl_xor_sync(~0u, previous, lane_mask);
  }

  float largest = -kInfinity;  // of q.k, as all but shift
  float smallest = kInfinity;
  float shift = 0;
  float exp_sum = 0;    // of e_k
  float weighted = 0;   // of e_k log2 e_k
  float below_sum = 0;  // of q.k over 1 <= k < t
  float sink = 0;       // q.k of column 0
  float previous = 0;   // of column t - 1
};

// Shares of exp(a) and exp(b) in their sum, d = a - b, and -ln of each.
struct Split {
  __device__ explicit Split(float d) {
    const bool leads = d >= 0;
    const float u = expf(-fabsf(d));
    log1p_u = log1pf(u);
    first = (leads ? 1.0f : u) / (1 + u);
    second = (leads ? u : 1.0f) / (1 + u);
    first_surprise = log1p_u - (leads ? 0.0f : d);
    second_surprise = log1p_u + (leads ? d : 0.0f);
  }
  float log1p_u, first, second, first_surprise, second_surprise;
};

// The statistics of row t from its sums.
class Row {
 public:
  __device__ Row(const AttentionStatsCall& call, const RowSums& sums, int t)
      : call_(call), sums_(sums), t_(t) {
    sees_sink_ = call.window == 0 || t < call.window;
    sink_ = sees_sink_ ? sums.sink * call.scale : 0.0f;
    const float log_exp_sum = logf(sums.exp_sum);
    rest_ = t == 0 ? -kInfinity : fmaf(sums.shift, kLn2, log_exp_sum);
    float sink_surprise = 0, rest_surprise = 0;
    if (t == 0) {
      sink_mass_ = 1;
      rest_mass_ = 0;
      lse_ = sink_;
    } else if (!sees_sink_) {
      sink_mass_ = 0;
      rest_mass_ = 1;
      lse_ = rest_;
    } else {
      const Split split(sink_ - rest_);
      sink_mass_ = split.first;
      rest_mass_ = split.second;
      sink_surprise = split.first_surprise;
      rest_surprise = split.second_surprise;
      lse_ = (sink_ >= rest_ ? sink_ : rest_) + split.log1p_u;
    }
    if (t > 0) {
      rest_surprise += log_exp_sum - sums.weighted * kLn2 / sums.exp_sum;
    }
    float learned_entropy = 0;
    if (call.learned_sinks != nullptr) {
      const float learned = call.learned_sinks[HeadOfBlock()];
      const Split keys(lse_ - learned);
      sink_mass_ *= keys.first;
      rest_mass_ *= keys.first;
      sink_surprise += keys.first_surprise;
      rest_surprise += keys.first_surprise;
      learned_entropy = keys.second * keys.second_surprise;
      lse_ = (lse_ >= learned ? lse_ : learned) + keys.log1p_u;
    }
    entropy_ = sink_mass_ * sink_surprise +
               (t > 0 ? rest_mass_ * rest_surprise : 0.0f) + learned_entropy;
    weight_ = t > 0 ? rest_mass_ / sums.exp_sum : 0.0f;
  }

  __device__ void Store(float c) const {
    const int64_t plane =
        static_cast<int64_t>(call_.batch) * call_.heads * call_.tokens;
    const int64_t at = HeadOffset(call_) + t_;
    float* const rows = call_.rows + at;
    rows[kLogSumExp * plane] = lse_;
    rows[kSinkLogit * plane] = sink_;
    rows[kSinkAttention * plane] = sink_mass_;
    rows[kRestLogSumExp * plane] = rest_;
    rows[kRestMeanLogit * plane] = RestMean();
    rows[kPreviousAttention * plane] = Previous(c);
    rows[kEntropy * plane] = entropy_;
    rows[kMaxAbsLogit * plane] = LargestAbsolute();
    rows[kRowSum * plane] = sink_mass_ + rest_mass_;
    if (call_.scratch == nullptr) return;
    call_.scratch[at] = t_ == 0 ? 0.0f : sums_.shift;
    call_.scratch[plane + at] = weight_;
  }

 private:
  __device__ float RestMean() const {
    const int first = call_.window > 0 ? max(1, t_ - call_.window + 1) : 1;
    return t_ > first ? sums_.below_sum * call_.scale / (t_ - first) : 0.0f;
  }
  __device__ float Previous(float c) const {
    if (t_ == 0 || call_.window == 1) return 0;
    if (t_ == 1) return sink_mass_;
    return weight_ * Exp2(fmaf(sums_.previous, c, -sums_.shift));
  }
  __device__ float LargestAbsolute() const {
    float largest = fabsf(sink_);
    if (t_ > 0) {
      largest = fmaxf(largest, sums_.largest * call_.scale);
      largest = fmaxf(largest, -sums_.smallest * call_.scale);
    }
    return largest + 0 * lse_;  // what is not finite stays
  }

  const AttentionStatsCall& call_;
  const RowSums& sums_;
  const int t_;
  bool sees_sink_;
  float sink_, rest_, lse_, sink_mass_, rest_mass_, entropy_, weight_;
};

// Where every column is seen, by all rows, and lies left of the diagonal.
template <typename Place>
__device__ __forceinline__ void TakeWholeTile(const Products& products,
                                              const Place& place, float c,
                                              RowSums (&rows)[kRowsPerThread]) {
  float largest[kRowsPerThread];
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) largest[r] = -kInfinity;
  ForEach(products, place, [&](int r, int, float product) {
    largest[r] = fmaxf(largest[r], product);
    rows[r].smallest = fminf(rows[r].smallest, product);
    rows[r].below_sum += product;
  });
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) rows[r].Raise(largest[r], c);
  ForEach(products, place,
          [&](int r, int, float product) { rows[r].Add(product, c); });
}

// Where a column may be column 0, the diagonal, or hidden.
template <typename Place>
__device__ __forceinline__ void TakeEdgeTile(const Products& products,
                                             const Place& place, int row_begin,
                                             int column_begin, int window,
                                             float c,
                                             RowSums (&rows)[kRowsPerThread]) {
  const auto is_seen = [&](int r, int column) {
    const int t = row_begin + place.Row(r), k = column_begin + column;
    return k >= 1 && k <= t && (window == 0 || k > t - window);
  };
  float largest[kRowsPerThread];
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) largest[r] = -kInfinity;
  ForEach(products, place, [&](int r, int column, float product) {
    const int t = row_begin + place.Row(r), k = column_begin + column;
    if (k == 0) rows[r].sink = product;
    if (k == t - 1) rows[r].previous = product;
    if (!is_seen(r, column)) return;
    largest[r] = fmaxf(largest[r], product);
    rows[r].smallest = fminf(rows[r].smallest, product);
    if (k < t) rows[r].below_sum += product;
  });
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) rows[r].Raise(largest[r], c);
  ForEach(products, place, [&](int r, int column, float product) {
    if (is_seen(r, column)) rows[r].Add(product, c);
  });
}

// Keys of a head stream by the tile's queries, rows [row_begin, row_begin +
// 128) up to the diagonal, until each row's sums are those of its thread's
// columns.
template <typename Tile>
__device__ __forceinline__ void SweepRows(const AttentionStatsCall& call,
                                          Tile& tile,
                                          const typename Tile::Element* k,
                                          int row_begin,
                                          RowSums (&rows)[kRowsPerThread]) {
  const typename Tile::Place place;
  const float c = call.scale * kLog2E;
  const int row_last = min(row_begin + kTileRows, call.tokens) - 1;
  const int column_begin =
      call.window > 0 ? max(0, row_begin - call.window + 1) : 0;
  const auto start = [&](int i) {
    tile.StartStreaming(k, call.k.token_stride, i * kTileColumns, call.tokens,
                        i % Tile::kBuffers);
    CommitCopies();
  };
  Products products;
  const int first = column_begin / kTileColumns, last = row_last / kTileColumns;
  start(first);
  for (int i = first; i <= last; ++i) {
    const bool ahead = Tile::kBuffers > 1 && i < last;
    if (ahead) start(i + 1);
    ahead ? Tile::template WaitForStreaming<1>()
          : Tile::template WaitForStreaming<0>();
    __syncthreads();
    tile.Multiply(i % Tile::kBuffers, products);
    const int column = i * kTileColumns;
    const bool whole =
        column >= 1 && column + kTileColumns <= row_begin &&
        (call.window == 0 || column > row_begin + kTileRows - 1 - call.window);
    if (whole) {
      TakeWholeTile(products, place, c, rows);
      // Of the last whole tile, the column left of the block's first row.
      if (column + kTileColumns == row_begin && place.Row(0) == 0) {
        if (place.first_column == 6) rows[0].previous = products.at[0][7][1];
      }
    } else {
      TakeEdgeTile(products, place, row_begin, column, call.window, c, rows);
    }
    __syncthreads();
    if (Tile::kBuffers == 1 && i < last) start(i + 1);
  }
}

// Each of the four threads that have a row's sums tells of one of their rows.
template <typename Tile>
__device__ __forceinline__ void StoreRows(
    const AttentionStatsCall& call, int row_begin,
    const RowSums (&rows)[kRowsPerThread]) {
  const typename Tile::Place place;
  const int mine = place.lane % 4;
  RowSums sums = rows[0];
#pragma unroll
  for (int r = 1; r < kRowsPerThread; ++r) {
    if (mine == r) sums = rows[r];
  }
  const int t = row_begin + place.Row(mine);
  if (t < call.tokens) Row(call, sums, t).Store(call.scale * kLog2E);
}

// Joins the sums of the four threads of each row.
template <typename Tile>
__device__ __forceinline__ void FinishRows(const AttentionStatsCall& call,
                                           int row_begin,
                                           RowSums (&rows)[kRowsPerThread]) {
  const float c = call.scale * kLog2E;
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    rows[r].Merge(1, c);
    rows[r].Merge(2, c);
  }
  StoreRows<Tile>(call, row_begin, rows);
}

// A block's rows from the first key to the last: what streams by is kept
// nowhere else.
template <typename Tile>
__device__ __forceinline__ void TellRows(const AttentionStatsCall& call,
                                         void* shared, int row_begin) {
  using Element = typename Tile::Element;
  Tile tile(shared, call.width);
  tile.LoadStationary(HeadOf<Element>(call.q, HeadOfBlock()),
                      call.q.token_stride, row_begin, call.tokens);
  RowSums rows[kRowsPerThread];
  SweepRows(call, tile, HeadOf<Element>(call.k, GroupOfBlock(call)), row_begin,
            rows);
  FinishRows<Tile>(call, row_begin, rows);
}

// Column 0: its shares were kept apart for the sake of their digits.
__device__ __forceinline__ void SumSinkColumn(const AttentionStatsCall& call,
                                              float* shared) {
  const int64_t plane =
      static_cast<int64_t>(call.batch) * call.heads * call.tokens;
  const float* const mass =
      call.rows + kSinkAttention * plane + HeadOffset(call);
  float sum = 0;
  for (int t = 1 + threadIdx.x; t < call.tokens; t += kThreads) sum += mass[t];
  shared[threadIdx.x] = sum;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) call.columns[HeadOffset(call)] = shared[0];
}

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_ROWS_CUH_

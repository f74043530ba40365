// Medians by histograms of the bits, and the loss of rows of logits in one
// reading.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/numbers.cuh"
#include "worker/kernels/cuda/row_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr float kInfinity = __builtin_huge_valf();
constexpr int kMedianThreads = 512;
constexpr int kBlocks = 544;  // of all rows; four for each multiprocessor
constexpr int64_t kMostCounted = (int64_t{1} << 32) - 1;  // by 32 bits
constexpr int kBins = 2048;
// Copies of a block's histogram, one per so many neighbouring lanes: values
// crowd in a few bins, and lanes that count in one bin wait for each other.
constexpr int kCopies = 4;

template <typename Element>
__device__ __forceinline__ float At(const void* x, int64_t i) {
  return ToFloat(static_cast<const Element*>(x)[i]);
}

// Floats as unsigned integers of the same order.
__device__ __forceinline__ uint32_t KeyOf(float x, bool absolute) {
  const uint32_t bits = __float_as_uint(absolute ? fabsf(x) : x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float FromKey(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

// The three digits of a key, from the highest on: 11, 11 and 10 bits.
__host__ __device__ constexpr int ShiftOf(int level) {
  return level == 0 ? 21 : level == 1 ? 10 : 0;
}
__host__ __device__ constexpr int BinsOf(int level) {
  return level == 2 ? 1024 : 2048;
}

// How far the search for the lower middle element of a row has come.
struct Search {
  uint32_t prefix;           // digits found so far
  unsigned long long rank;   // among the elements with that prefix
  unsigned long long above;  // at the end: elements above the one found ...
  uint32_t next;             // ... and the smallest of them
};

struct Scratch {
  __host__ __device__ Scratch(void* memory, int rows)
      : searches(static_cast<Search*>(memory)),
        counts(reinterpret_cast<unsigned int*>(searches + rows)) {}
  Search* searches;
  unsigned int* counts;  // [rows,kBins]
};

__global__ void BeginSearch(RowMedianCall call) {
  const Scratch scratch(call.scratch, call.rows);
  const int row = blockIdx.x;
  for (int i = threadIdx.x; i < kBins; i += blockDim.x) {
    scratch.counts[static_cast<int64_t>(row) * kBins + i] = 0;
  }
  if (threadIdx.x == 0) {
    scratch.searches[row] = {0, static_cast<unsigned long long>(call.n - 1) / 2,
                             0, ~0u};
  }
}

// Calls f(key) for this block's share of the row, 16 bytes at a time where that
// is possible.
template <typename Element, typename F>
__device__ __forceinline__ void ForEachKey(const RowMedianCall& call, F f) {
  constexpr int kPerLoad = 16 / sizeof(Element);
  const Element* const x = static_cast<const Element*>(call.x) +
                           static_cast<int64_t>(blockIdx.y) * call.n;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first =
      static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  int64_t begin = 0;
  if (reinterpret_cast<uintptr_t>(x) % 16 == 0) {
    const uint4* const loads = reinterpret_cast<const uint4*>(x);
    const int64_t count = call.n / kPerLoad;
    const auto take = [&](const uint4& load) {
      const Element* const values = reinterpret_cast<const Element*>(&load);
#pragma unroll
      for (int j = 0; j < kPerLoad; ++j) {
        f(KeyOf(At<Element>(values, j), call.absolute));
      }
    };
    int64_t i = first;
    for (; i + stride < count; i += 2 * stride) {
      const uint4 one = loads[i], other = loads[i + stride];
      take(one);
      take(other);
    }
    if (i < count) take(loads[i]);
    begin = count * kPerLoad;
  }
  for (int64_t i = begin + first; i < call.n; i += stride) {
    f(KeyOf(At<Element>(x, i), call.absolute));
  }
}

template <typename Element>
__global__ void __launch_bounds__(kMedianThreads)
    CountDigits(RowMedianCall call, int level) {
  __shared__ unsigned int counts[kCopies][kBins];
  for (int i = threadIdx.x; i < kCopies * kBins; i += blockDim.x) {
    counts[i / kBins][i % kBins] = 0;
  }
  __syncthreads();
  const Scratch scratch(call.scratch, call.rows);
  const uint32_t prefix = scratch.searches[blockIdx.y].prefix;
  const int shift = ShiftOf(level);
  const uint32_t mask = BinsOf(level) - 1;
  const uint32_t decided =
      level == 0 ? 0 : ~0u << (shift + (level == 2 ? 10 : 11));
  unsigned int* const mine = counts[threadIdx.x % kCopies];
  ForEachKey<Element>(call, [&](uint32_t key) {
    if ((key & decided) == prefix) atomicAdd(&mine[key >> shift & mask], 1u);
  });
  __syncthreads();
  unsigned int* const all =
      scratch.counts + static_cast<int64_t>(blockIdx.y) * kBins;
  for (int i = threadIdx.x; i < kBins; i += blockDim.x) {
    unsigned int sum = 0;
#pragma unroll
    for (int copy = 0; copy < kCopies; ++copy) sum += counts[copy][i];
    if (sum > 0) atomicAdd(&all[i], sum);
  }
}

// One block of 1024 threads a row: two bins each.
__global__ void PickDigit(RowMedianCall call, int level) {
  __shared__ unsigned long long sums[1024];
  const Scratch scratch(call.scratch, call.rows);
  unsigned int* const counts =
      scratch.counts + static_cast<int64_t>(blockIdx.x) * kBins;
  Search& search = scratch.searches[blockIdx.x];
  const unsigned long long rank = search.rank;
  const unsigned long long low = counts[2 * threadIdx.x],
                           high = counts[2 * threadIdx.x + 1];
  sums[threadIdx.x] = low + high;
  __syncthreads();
  for (int reach = 1; reach < 1024; reach *= 2) {
    const unsigned long long before =
        threadIdx.x >= reach ? sums[threadIdx.x - reach] : 0;
    __syncthreads();
    sums[threadIdx.x] += before;
    __syncthreads();
  }
  const unsigned long long end = sums[threadIdx.x];
  const unsigned long long begin = end - low - high;
  counts[2 * threadIdx.x] = counts[2 * threadIdx.x + 1] = 0;
  if (rank < begin || rank >= end) return;
  const bool in_low = rank < begin + low;
  const uint32_t digit = 2 * threadIdx.x + (in_low ? 0 : 1);
  search.prefix |= digit << ShiftOf(level);
  search.rank = rank - begin - (in_low ? 0 : low);
  // Of the last digit's bin, all elements are the one found.
  search.above = (in_low ? low : high) - 1 - search.rank;
}

// The smallest element above the lower middle one, where that is not the same
// as the upper one.
template <typename Element>
__global__ void __launch_bounds__(kMedianThreads) FindNext(RowMedianCall call) {
  const Scratch scratch(call.scratch, call.rows);
  Search& search = scratch.searches[blockIdx.y];
  if (call.n % 2 == 1 || search.above > 0) return;
  uint32_t next = ~0u;
  ForEachKey<Element>(call, [&](uint32_t key) {
    if (key > search.prefix) next = min(next, key);
  });
  next = __reduce_min_sync(~0u, next);
  if (threadIdx.x % 32 == 0) atomicMin(&search.next, next);
}

__global__ void EndSearch(RowMedianCall call) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= call.rows) return;
  const Search& search = Scratch(call.scratch, call.rows).searches[row];
  const float lower = FromKey(search.prefix);
  const bool same = call.n % 2 == 1 || search.above > 0;
  call.median[row] = same ? lower : (lower + FromKey(search.next)) / 2;
}

// The sizes of bfloat16 are 15 bits: a histogram of all of them fits into
// shared memory, and one reading of a row tells its median.
constexpr int kSizes = 1 << 15;
constexpr int kSizeThreads = 1024;
constexpr int kSizeBlocks = 132;  // of all rows; a multiprocessor has one

__global__ void __launch_bounds__(kSizeThreads) CountSizes(RowMedianCall call) {
  extern __shared__ unsigned int sizes[];  // [kSizes]
  for (int i = threadIdx.x; i < kSizes; i += kSizeThreads) sizes[i] = 0;
  __syncthreads();
  ForEachKey<uint16_t>(call, [&](uint32_t key) {
    atomicAdd(&sizes[key >> 16 & (kSizes - 1)], 1u);
  });
  __syncthreads();
  unsigned int* const all = static_cast<unsigned int*>(call.scratch) +
                            static_cast<int64_t>(blockIdx.y) * kSizes;
  for (int i = threadIdx.x; i < kSizes; i += kSizeThreads) {
    if (sizes[i] > 0) atomicAdd(&all[i], sizes[i]);
  }
}

// The sum of `mine` over this thread and those before it.
__device__ unsigned int SumUpTo(unsigned int mine) {
  __shared__ unsigned int of_warps[kSizeThreads / 32];
  unsigned int sum = mine;
  for (int reach = 1; reach < 32; reach *= 2) {
    const unsigned int before = __shfl_up_sync(~0u, sum, reach);
    if (threadIdx.x % 32 >= reach) sum += before;
  }
  if (threadIdx.x % 32 == 31) of_warps[threadIdx.x / 32] = sum;
  __syncthreads();
  for (int warp = 0; warp < threadIdx.x / 32; ++warp) sum += of_warps[warp];
  return sum;
}

// A block a row: the sizes of its lower and its upper middle element.
__global__ void __launch_bounds__(kSizeThreads) PickSizes(RowMedianCall call) {
  constexpr int kEach = kSizes / kSizeThreads;
  __shared__ unsigned int found[2];
  // All of a thread's at once: its loads do not wait for each other.
  uint4 loads[kEach / 4];
  const uint4* const from = reinterpret_cast<const uint4*>(
                                static_cast<unsigned int*>(call.scratch) +
                                static_cast<int64_t>(blockIdx.x) * kSizes) +
                            threadIdx.x * (kEach / 4);
#pragma unroll
  for (int i = 0; i < kEach / 4; ++i) loads[i] = from[i];
  unsigned int mine = 0;
#pragma unroll
  for (const uint4& load : loads) mine += load.x + load.y + load.z + load.w;
  const unsigned int end = SumUpTo(mine);
  const unsigned int n = static_cast<unsigned int>(call.n);
  const unsigned int ranks[2] = {(n - 1) / 2, n / 2};
#pragma unroll
  for (int middle = 0; middle < 2; ++middle) {
    const unsigned int rank = ranks[middle];
    if (rank < end - mine || rank >= end) continue;
    // Sizes whose elements all come before it.
    unsigned int below = end - mine, before = 0;
#pragma unroll
    for (const uint4& load : loads) {
      for (const unsigned int count : {load.x, load.y, load.z, load.w}) {
        below += count;
        before += below <= rank;
      }
    }
    found[middle] = threadIdx.x * kEach + before;
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  const float lower = __uint_as_float(found[0] << 16),
              upper = __uint_as_float(found[1] << 16);
  call.median[blockIdx.x] = found[0] == found[1] ? lower : (lower + upper) / 2;
}

// Blocks of a row: no more than fill a card.
unsigned BlocksOfRow(const RowMedianCall& call, int64_t threads, int blocks) {
  const int64_t wanted = (call.n + threads * 4 - 1) / (threads * 4);
  const int64_t most = blocks / call.rows < 1 ? 1 : blocks / call.rows;
  return static_cast<unsigned>(wanted < most ? wanted : most);
}

cudaError_t MedianOfSizes(const RowMedianCall& call, cudaStream_t stream) {
  constexpr int kBytes = kSizes * sizeof(unsigned int);
  const cudaError_t error = cudaFuncSetAttribute(
      CountSizes, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  if (error != cudaSuccess) return error;
  const cudaError_t cleared = cudaMemsetAsync(
      call.scratch, 0, static_cast<size_t>(call.rows) * kBytes, stream);
  if (cleared != cudaSuccess) return cleared;
  const dim3 grid(BlocksOfRow(call, kSizeThreads, kSizeBlocks), call.rows);
  CountSizes<<<grid, kSizeThreads, kBytes, stream>>>(call);
  PickSizes<<<call.rows, kSizeThreads, 0, stream>>>(call);
  return cudaGetLastError();
}

// A row that fits into shared memory: all of that by one block, in one launch.
constexpr int kShortThreads = 1024;

// The digit in whose bin `rank` falls, and the rank inside: by the first warp.
__device__ void PickInBlock(const unsigned int* counts, int bins,
                            unsigned int* rank, unsigned int* digit,
                            unsigned int* in_bin) {
  if (threadIdx.x >= 32) return;
  const int each = bins / 32, begin = threadIdx.x * each;
  unsigned int mine = 0;
  for (int i = 0; i < each; ++i) mine += counts[begin + i];
  unsigned int end = mine;
  for (int reach = 1; reach < 32; reach *= 2) {
    const unsigned int before = __shfl_up_sync(~0u, end, reach);
    if (threadIdx.x >= reach) end += before;
  }
  const unsigned int wanted = *rank;
  __syncwarp();
  if (wanted < end - mine || wanted >= end) return;
  unsigned int below = end - mine;
  int i = begin;
  while (wanted >= below + counts[i]) below += counts[i++];
  *digit = i;
  *in_bin = counts[i];
  *rank = wanted - below;
}

template <typename Element>
__global__ void __launch_bounds__(kShortThreads)
    ShortRowMedian(RowMedianCall call) {
  extern __shared__ uint32_t keys[];  // [n]
  __shared__ unsigned int counts[kBins];
  __shared__ unsigned int rank, digit, in_bin, next;
  const int n = static_cast<int>(call.n);
  const int64_t row = blockIdx.x * call.n;
  for (int i = threadIdx.x; i < n; i += kShortThreads) {
    keys[i] = KeyOf(At<Element>(call.x, row + i), call.absolute);
  }
  if (threadIdx.x == 0) rank = (n - 1) / 2;
  uint32_t prefix = 0;
  for (int level = 0; level < 3; ++level) {
    for (int i = threadIdx.x; i < kBins; i += kShortThreads) counts[i] = 0;
    __syncthreads();
    const int shift = ShiftOf(level);
    const uint32_t decided =
        level == 0 ? 0 : ~0u << (shift + (level == 2 ? 10 : 11));
    for (int i = threadIdx.x; i < n; i += kShortThreads) {
      if ((keys[i] & decided) != prefix) continue;
      atomicAdd(&counts[keys[i] >> shift & (BinsOf(level) - 1)], 1u);
    }
    __syncthreads();
    PickInBlock(counts, BinsOf(level), &rank, &digit, &in_bin);
    __syncthreads();
    prefix |= digit << shift;
  }
  if (threadIdx.x == 0) next = ~0u;
  __syncthreads();
  // The upper middle element is the same, or the smallest one above.
  const bool same = n % 2 == 1 || rank + 1 < in_bin;
  if (!same) {
    uint32_t least = ~0u;
    for (int i = threadIdx.x; i < n; i += kShortThreads) {
      if (keys[i] > prefix) least = min(least, keys[i]);
    }
    least = __reduce_min_sync(~0u, least);
    if (threadIdx.x % 32 == 0) atomicMin(&next, least);
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  const float lower = FromKey(prefix);
  call.median[blockIdx.x] = same ? lower : (lower + FromKey(next)) / 2;
}

template <typename Element>
cudaError_t SearchMedians(const RowMedianCall& call, cudaStream_t stream) {
  if (call.n <= kShortRow) {
    ShortRowMedian<Element>
        <<<call.rows, kShortThreads, call.n * sizeof(uint32_t), stream>>>(call);
    return cudaGetLastError();
  }
  if (sizeof(Element) == 2 && call.absolute && call.n <= kMostCounted) {
    return MedianOfSizes(call, stream);
  }
  const dim3 grid(BlocksOfRow(call, kMedianThreads, kBlocks), call.rows);
  BeginSearch<<<call.rows, 256, 0, stream>>>(call);
  for (int level = 0; level < 3; ++level) {
    CountDigits<Element><<<grid, kMedianThreads, 0, stream>>>(call, level);
    PickDigit<<<call.rows, 1024, 0, stream>>>(call, level);
  }
  FindNext<Element><<<grid, kMedianThreads, 0, stream>>>(call);
  EndSearch<<<(call.rows + 255) / 256, 256, 0, stream>>>(call);
  return cudaGetLastError();
}

// log(exp(a) + exp(b)) as a shift and a sum of 2^(x - shift).
struct ExpSum {
  // Of several numbers: their own maximum first, then an exponential each.
  template <int kCount>
  __device__ __forceinline__ void AddAll(const float (&x)[kCount]) {
    float most = x[0];
#pragma unroll
    for (int i = 1; i < kCount; ++i) most = fmaxf(most, x[i]);
    if (most > largest) {
      sum *= largest == -kInfinity ? 0.0f : expf(largest - most);
      largest = most;
    }
    if (largest == -kInfinity) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        if (x[i] != x[i]) sum = x[i];
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) sum += expf(x[i] - largest);
  }
  __device__ void Add(float x) {
    if (x == -kInfinity) return;
    if (x > largest) {
      sum *= largest == -kInfinity ? 0.0f : expf(largest - x);
      largest = x;
    }
    sum += expf(x - largest);
  }
  __device__ void Merge(float other_largest, float other_sum) {
    const float both = fmaxf(largest, other_largest);
    if (both == -kInfinity) {
      sum += other_sum;
      return;
    }
    sum =
        (largest == -kInfinity ? sum * 0 : sum * expf(largest - both)) +
        (other_largest == -kInfinity ? other_sum * 0
                                     : other_sum * expf(other_largest - both));
    largest = both;
  }
  float largest = -kInfinity;
  float sum = 0;
};

constexpr int kLossThreads = 256;

template <typename Element>
__global__ void __launch_bounds__(kLossThreads) RowLoss(RowLossCall call) {
  const int row = blockIdx.x;
  const int64_t begin = row * call.columns;
  ExpSum all;
  // 16 bytes at a time where every row begins at such a place.
  constexpr int kPerLoad = 16 / sizeof(Element);
  const bool wide = call.columns % kPerLoad == 0 &&
                    reinterpret_cast<uintptr_t>(call.logits) % 16 == 0;
  const uint4* const loads = reinterpret_cast<const uint4*>(
      static_cast<const Element*>(call.logits) + begin);
  for (int64_t i = threadIdx.x; wide && i < call.columns / kPerLoad;
       i += kLossThreads) {
    const uint4 load = loads[i];
    float x[kPerLoad];
#pragma unroll
    for (int j = 0; j < kPerLoad; ++j) x[j] = At<Element>(&load, j);
    all.AddAll(x);
  }
  for (int64_t i = threadIdx.x; !wide && i < call.columns; i += kLossThreads) {
    all.Add(At<Element>(call.logits, begin + i));
  }
  for (int mask = 16; mask > 0; mask /= 2) {
    const float largest = __shfl_xor_sync(~0u, all.largest, mask);
    const float sum = __shfl_xor_sync(~0u, all.sum, mask);
    all.Merge(largest, sum);
  }
  __shared__ ExpSum of_warp[kLossThreads / 32];
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = all;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int warp = 1; warp < kLossThreads / 32; ++warp) {
    all.Merge(of_warp[warp].largest, of_warp[warp].sum);
  }
  const float old = call.log_sum_exp[row];
  const float now = all.largest + logf(all.sum);
  const float high = fmaxf(old, now), low = fminf(old, now);
  const float joined =
      low == -kInfinity ? high : high + log1pf(expf(low - high));
  // fmaxf and fminf lose a NaN.
  call.log_sum_exp[row] = old == old && now == now ? joined : old + now;
  const int64_t column = call.target[row] - call.first;
  if (column >= 0 && column < call.columns) {
    call.target_logit[row] = At<Element>(call.logits, begin + column);
  }
}

}  // namespace

int64_t RowMedianScratchBytes(int rows, int64_t n) {
  if (n <= kShortRow) return 0;
  const int64_t search = sizeof(Search) + kBins * sizeof(unsigned int);
  const int64_t sizes = kSizes * sizeof(unsigned int);
  return rows * (search < sizes ? sizes : search);
}

int LaunchRowMedian(const RowMedianCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  return call.bfloat16 ? SearchMedians<uint16_t>(call, on)
                       : SearchMedians<float>(call, on);
}

int LaunchRowLoss(const RowLossCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  if (call.bfloat16) {
    RowLoss<uint16_t><<<call.rows, kLossThreads, 0, on>>>(call);
  } else {
    RowLoss<float><<<call.rows, kLossThreads, 0, on>>>(call);
  }
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

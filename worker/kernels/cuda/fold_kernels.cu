// Sums over the rows of all terms of a batch in one launch, and the columns
// that are sinks.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/fold_kernels.h"
#include "worker/kernels/sink_rule.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

struct Spot {
  int64_t sequence;
  int value;
  int row;
};

__device__ __forceinline__ int64_t IndexOf(const FoldPlane& plane,
                                           const Spot& at) {
  return at.sequence * plane.of_sequence + at.value * plane.of_value +
         at.row * plane.of_row;
}

__device__ __forceinline__ float FloatOf(const FoldPlane& plane,
                                         const Spot& at) {
  return static_cast<const float*>(plane.data)[IndexOf(plane, at)];
}

// x of row_fold.h in float32, in the order of the portable form.
__device__ __forceinline__ float TermAt(const FoldTerm& term, const Spot& at) {
  float x = FloatOf(term.a, at);
  if (term.minus.data != nullptr) x -= FloatOf(term.minus, at);
  if (term.times.data != nullptr) x *= FloatOf(term.times, at);
  if (term.scale != 1) x *= term.scale;
  if (term.over.data != nullptr) {
    float below = FloatOf(term.over, at);
    if (term.over_too.data != nullptr) below *= FloatOf(term.over_too, at);
    x = below == 0 ? 0.0f : x / below;
  }
  if (term.above == term.above && x == x) x = x > term.above ? 1.0f : 0.0f;
  return x;
}

__device__ __forceinline__ double ValueAt(const FoldTerm& term,
                                          const Spot& at) {
  switch (term.type) {
    case PlaneType::kDouble:
      return static_cast<const double*>(term.a.data)[IndexOf(term.a, at)];
    case PlaneType::kInt64:
      return static_cast<double>(
          static_cast<const int64_t*>(term.a.data)[IndexOf(term.a, at)]);
    default:
      return TermAt(term, at);
  }
}

// What is no number is larger than all.
__device__ __forceinline__ double Larger(double one, double other) {
  if (one != one) return one;
  return other > one || other != other ? other : one;
}

template <typename Join>
__device__ double Joined(double x, double* shared, Join join) {
  for (int mask = 16; mask > 0; mask /= 2) {
    x = join(x, __shfl_xor_sync(~0u, x, mask));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  double all = shared[0];
  for (int warp = 1; warp < kWarps; ++warp) all = join(all, shared[warp]);
  return all;
}

// A block for each sequence and value.
__global__ void __launch_bounds__(kThreads)
    FoldRows(const __grid_constant__ FoldRowsCall call) {
  __shared__ double shared[kWarps];
  int which = 0, value = blockIdx.y;
  while (value >= call.terms[which].values) value -= call.terms[which++].values;
  const FoldTerm& term = call.terms[which];
  Spot at{blockIdx.x, value, 0};
  double* const sums =
      call.sums +
      (at.sequence * call.all_values + call.offset + blockIdx.y) * call.groups;
  if (term.largest) {
    double largest = -__longlong_as_double(0x7ff0000000000000LL);
    for (at.row = term.first + threadIdx.x; at.row < term.end;
         at.row += kThreads) {
      largest = Larger(largest, ValueAt(term, at));
    }
    largest = Joined(largest, shared, Larger);
    for (int group = threadIdx.x; group < call.groups; group += kThreads) {
      sums[group] = largest;
    }
    return;
  }
  for (int group = 0; group < call.groups; ++group) {
    const bool all = group == 0 || call.classes == nullptr;
    double sum = 0;
    for (at.row = term.first + threadIdx.x; at.row < term.end;
         at.row += kThreads) {
      if (!all && call.classes[at.sequence * call.tokens + at.row] != group - 1)
        continue;
      sum += ValueAt(term, at);
    }
    sum = Joined(sum, shared, [](double x, double y) { return x + y; });
    if (threadIdx.x == 0) sums[group] = sum;
  }
}

// Rows t >= 1 that see column k.
__device__ __forceinline__ float RowsThatSee(const SinkColumnsCall& call,
                                             int64_t k) {
  const int64_t reach = call.window > 0 ? call.window : call.tokens;
  const int64_t end = k + reach < call.tokens ? k + reach : call.tokens;
  const int64_t rows = end - (k > 1 ? k : 1);
  return rows > 0 ? static_cast<float>(rows) : 0.0f;
}

// The largest key wins: of equal masses the column that comes first.
__device__ __forceinline__ unsigned long long KeyOf(float mass, int column) {
  return static_cast<unsigned long long>(__float_as_uint(mass)) << 32 |
         (0xffffffffu - static_cast<unsigned>(column));
}

// A block a head. Masses are not negative, so their bits are in their order.
__global__ void __launch_bounds__(kThreads) SinkColumns(SinkColumnsCall call) {
  __shared__ unsigned long long best_of[kWarps];
  const float* const mass =
      call.column_mass + static_cast<int64_t>(blockIdx.x) * call.tokens;
  unsigned long long last = ~0ull;
  for (int place = 0; place < call.wanted; ++place) {
    unsigned long long best = 0;
    for (int k = threadIdx.x; last != 0 && k < call.tokens; k += kThreads) {
      const float rows = RowsThatSee(call, k);
      if (rows < call.fewest_rows) continue;
      const float mean = mass[k] / rows;
      if (!(mean > kMinMassOfSink)) continue;
      const unsigned long long key = KeyOf(mean, k);
      if (key < last && key > best) best = key;
    }
    for (int mask = 16; mask > 0; mask /= 2) {
      const unsigned long long other = __shfl_xor_sync(~0u, best, mask);
      best = other > best ? other : best;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) best_of[threadIdx.x / 32] = best;
    __syncthreads();
    for (int warp = 0; warp < kWarps; ++warp) {
      best = best_of[warp] > best ? best_of[warp] : best;
    }
    if (threadIdx.x == 0) {
      const int64_t to =
          static_cast<int64_t>(blockIdx.x) * call.wanted + place;
      call.columns[to] =
          best == 0 ? -1
                    : static_cast<int64_t>(0xffffffffu -
                                           static_cast<unsigned>(best));
      call.mass[to] =
          best == 0 ? 0.0f : __uint_as_float(static_cast<unsigned>(best >> 32));
    }
    last = best;
  }
}

}  // namespace

int LaunchFoldRows(const FoldRowsCall& call, void* stream) {
  const dim3 grid(call.batch, call.values);
  FoldRows<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(call);
  return cudaGetLastError();
}

int LaunchSinkColumns(const SinkColumnsCall& call, void* stream) {
  SinkColumns<<<static_cast<unsigned>(call.heads), kThreads, 0,
                static_cast<cudaStream_t>(stream)>>>(call);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

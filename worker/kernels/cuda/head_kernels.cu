// Lengths of the vectors of heads, as they are and as they are written, and
// attention to a few chosen columns.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/head_kernels.h"
#include "worker/kernels/cuda/numbers.cuh"
#include "worker/kernels/cuda/tiles.cuh"
#include "worker/kernels/cuda/wgmma_tile.cuh"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kWarp = 32;

__device__ __forceinline__ float SumOfWarp(float x) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    x += __shfl_xor_sync(~0u, x, mask);
  }
  return x;
}

bool IsAligned(const Heads& heads, int element_bytes) {
  const int64_t elements = 16 / element_bytes;
  return reinterpret_cast<uintptr_t>(heads.data) % 16 == 0 &&
         heads.batch_stride % elements == 0 &&
         heads.head_stride % elements == 0 &&
         heads.token_stride % elements == 0;
}

// Vectors that a thread works at, so that as many loads are on their way.
constexpr int kEach = 4;

// Squares of the elements that are this lane's of `lanes`, of each vector.
template <typename Element>
__device__ __forceinline__ void AddSquares(const Element* const (&x)[kEach],
                                           int64_t width, int lane, int lanes,
                                           bool aligned, float (&sums)[kEach]) {
  constexpr int kPerLoad = 16 / sizeof(Element);
  int64_t begin = 0;
  if (aligned) {
    for (int64_t i = lane; i < width / kPerLoad; i += lanes) {
      uint4 loads[kEach];
#pragma unroll
      for (int v = 0; v < kEach; ++v) {
        loads[v] = reinterpret_cast<const uint4*>(x[v])[i];
      }
#pragma unroll
      for (int v = 0; v < kEach; ++v) {
        const Element* const values =
            reinterpret_cast<const Element*>(&loads[v]);
#pragma unroll
        for (int j = 0; j < kPerLoad; ++j) {
          const float value = ToFloat(values[j]);
          sums[v] = fmaf(value, value, sums[v]);
        }
      }
    }
    begin = width / kPerLoad * kPerLoad;
  }
  for (int64_t i = begin + lane; i < width; i += lanes) {
#pragma unroll
    for (int v = 0; v < kEach; ++v) {
      const float value = ToFloat(x[v][i]);
      sums[v] = fmaf(value, value, sums[v]);
    }
  }
}

// `lanes` threads a vector, a power of two up to a warp. Vectors are counted so
// that neighbours lie side by side: by head first where heads of a token do.
template <typename Element>
__global__ void __launch_bounds__(256)
    HeadNorms(HeadNormsCall call, int lanes, bool aligned) {
  // 32 bits: a division of 64 costs more than the vector.
  const uint32_t groups = static_cast<uint32_t>(call.groups),
                 tokens = static_cast<uint32_t>(call.tokens);
  const uint32_t all = static_cast<uint32_t>(call.batch) * groups * tokens;
  const bool by_head = call.x.head_stride <= call.x.token_stride;
  const uint32_t inner = by_head ? groups : tokens;
  const uint32_t outer = by_head ? tokens : groups;
  const uint32_t apart = gridDim.x * (blockDim.x / lanes);
  const uint32_t first =
      blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes;
  const Element* x[kEach];
  int64_t to[kEach];
#pragma unroll
  for (int v = 0; v < kEach; ++v) {
    const uint64_t at = first + static_cast<uint64_t>(v) * apart;
    // Whole warps shuffle: those behind the last look at it.
    const uint32_t vector = at < all ? static_cast<uint32_t>(at) : all - 1;
    const uint32_t in = vector % inner, rest = vector / inner;
    const uint32_t out = rest % outer;
    const int64_t b = rest / outer;
    const int64_t n = by_head ? in : out, t = by_head ? out : in;
    x[v] = static_cast<const Element*>(call.x.data) + b * call.x.batch_stride +
           n * call.x.head_stride + t * call.x.token_stride;
    to[v] = at < all ? (b * call.groups + n) * call.tokens + t : -1;
  }
  const int lane = threadIdx.x % lanes;
  float sums[kEach] = {};
  AddSquares(x, call.width, lane, lanes, aligned, sums);
#pragma unroll
  for (int v = 0; v < kEach; ++v) {
    for (int mask = lanes / 2; mask > 0; mask /= 2) {
      sums[v] += __shfl_xor_sync(~0u, sums[v], mask);
    }
    if (lane == 0 && to[v] >= 0) call.norms[to[v]] = sqrtf(sums[v]);
  }
}

// 128 vectors stay, the rows of their head's factor stream by: no product is
// written down.
template <typename Tile>
__device__ __forceinline__ void MeasureWritten(const WrittenNormsCall& call,
                                               void* shared) {
  using Element = typename Tile::Element;
  Tile tile(shared, call.width);
  const typename Tile::Place place;
  const int head = blockIdx.y, group = head / (call.heads / call.groups);
  const int first = blockIdx.x * kTileRows;
  const Element* const factor =
      static_cast<const Element*>(call.factor) +
      static_cast<int64_t>(head) * call.rows * call.width;
  const auto start = [&](int i) {
    tile.StartStreaming(factor, call.width, i * kTileColumns, call.rows,
                        i % Tile::kBuffers);
    CommitCopies();
  };
  if (Tile::kApart) start(0);
  tile.LoadStationary(static_cast<const Element*>(call.x.data) +
                          blockIdx.z * call.x.batch_stride +
                          group * call.x.head_stride,
                      call.x.token_stride, first, call.tokens);
  // Once for the heads that share the vectors.
  if (head % (call.heads / call.groups) == 0) {
    ForEachLength(tile, [&](int row, float length) {
      const int token = first + row;
      if (token >= call.tokens) return;
      const int64_t b = blockIdx.z + token / call.sequence;
      call.plain[(b * call.groups + group) * call.sequence +
                 token % call.sequence] = length;
    });
  }
  float squares[kRowsPerThread] = {};
  Products products;
  const int last = (call.rows - 1) / kTileColumns;
  if (!Tile::kApart) start(0);
  for (int i = 0; i <= last; ++i) {
    const bool ahead = Tile::kBuffers > 1 && i < last;
    if (ahead) start(i + 1);
    ahead ? Tile::template WaitForStreaming<1>()
          : Tile::template WaitForStreaming<0>();
    __syncthreads();
    tile.Multiply(i % Tile::kBuffers, products);
    // Rows that are not there are zeros.
    ForEach(products, place, [&](int r, int, float product) {
      squares[r] = fmaf(product, product, squares[r]);
    });
    __syncthreads();
    if (Tile::kBuffers == 1 && i < last) start(i + 1);
  }
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    float sum = squares[r];
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    const int token = first + place.Row(r);
    if (place.lane % 4 != r || token >= call.tokens) continue;
    const int64_t b = blockIdx.z + token / call.sequence;
    call.norms[(b * call.heads + head) * call.sequence +
               token % call.sequence] = sqrtf(sum);
  }
}

template <typename Tile>
__global__ void __launch_bounds__(kThreads)
    WrittenNorms(WrittenNormsCall call) {
  extern __shared__ __align__(16) unsigned char shared[];
  if constexpr (kIsCompiled<Tile>) MeasureWritten<Tile>(call, shared);
}

template <typename Tile>
cudaError_t Launch(const WrittenNormsCall& call, cudaStream_t stream) {
  const size_t bytes = Tile::SharedBytes(call.width);
  const cudaError_t error = cudaFuncSetAttribute(
      WrittenNorms<Tile>, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (error != cudaSuccess) return error;
  const dim3 grid((call.tokens + kTileRows - 1) / kTileRows, call.heads,
                  call.batch);
  WrittenNorms<Tile><<<grid, kThreads, bytes, stream>>>(call);
  return cudaGetLastError();
}

constexpr int kColumnThreads = 256;
constexpr int kColumnRows = 64;  // of a block

// A block of rows of one head. Most heads have no column to look at: their
// blocks write zeros.
template <typename Element>
__global__ void __launch_bounds__(kColumnThreads)
    AttentionAtColumns(ColumnsCall call) {
  extern __shared__ float keys[];  // [chosen,width]
  __shared__ int64_t columns[kMaxChosenColumns];
  const int head = blockIdx.y, b = blockIdx.z;
  const int64_t of_head = static_cast<int64_t>(b) * call.heads + head;
  const int row_begin = blockIdx.x * kColumnRows;
  const int row_end = min(row_begin + kColumnRows, call.tokens);
  if (threadIdx.x < call.chosen) {
    columns[threadIdx.x] = call.columns[of_head * call.chosen + threadIdx.x];
  }
  __syncthreads();
  const auto is_seen = [&](int64_t column, int64_t row) {
    return column >= 0 && column <= row &&
           (call.window == 0 || column > row - call.window);
  };
  float* const attention = call.attention + of_head * call.tokens * call.chosen;
  bool any = false;
  for (int c = 0; c < call.chosen; ++c) {
    any = any || (columns[c] >= 0 && columns[c] < row_end);
  }
  if (!any) {
    for (int i = threadIdx.x; i < (row_end - row_begin) * call.chosen;
         i += kColumnThreads) {
      attention[static_cast<int64_t>(row_begin) * call.chosen + i] = 0;
    }
    return;
  }
  const int group = head / (call.heads / call.groups);
  const Element* const k = static_cast<const Element*>(call.k.data) +
                           b * call.k.batch_stride + group * call.k.head_stride;
  for (int i = threadIdx.x; i < call.chosen * call.width; i += kColumnThreads) {
    const int64_t column = columns[i / call.width];
    const bool there = column >= 0 && column < call.tokens;
    keys[i] = there ? ToFloat(k[column * call.k.token_stride + i % call.width])
                    : 0.0f;
  }
  __syncthreads();
  const int lane = threadIdx.x % kWarp;
  for (int row = row_begin + threadIdx.x / kWarp; row < row_end;
       row += kColumnThreads / kWarp) {
    const Element* const q =
        static_cast<const Element*>(call.q.data) + b * call.q.batch_stride +
        head * call.q.head_stride + row * call.q.token_stride;
    float dot[kMaxChosenColumns] = {};
    for (int i = lane; i < call.width; i += kWarp) {
      const float x = ToFloat(q[i]);
#pragma unroll
      for (int c = 0; c < kMaxChosenColumns; ++c) {
        if (c < call.chosen) dot[c] = fmaf(x, keys[c * call.width + i], dot[c]);
      }
    }
#pragma unroll
    for (int c = 0; c < kMaxChosenColumns; ++c) {
      if (c >= call.chosen) break;
      float logit = SumOfWarp(dot[c]) * call.scale;
      if (call.soft_cap > 0) {
        logit = call.soft_cap * tanhf(logit / call.soft_cap);
      }
      if (lane != 0) continue;
      const float share =
          expf(logit - call.log_sum_exp[of_head * call.tokens + row]);
      attention[static_cast<int64_t>(row) * call.chosen + c] =
          is_seen(columns[c], row) ? share : 0.0f;
    }
  }
}

}  // namespace

int LaunchHeadNorms(const HeadNormsCall& call, void* stream) {
  constexpr int kBlock = 256;
  const int bytes = call.bfloat16 ? 2 : 4;
  int lanes = 1;
  while (lanes < kWarp && lanes * 16 < call.width * bytes) lanes *= 2;
  const int64_t threads =
      (call.batch * call.groups * call.tokens + kEach - 1) / kEach * lanes;
  const auto blocks = static_cast<unsigned>((threads + kBlock - 1) / kBlock);
  const bool aligned = IsAligned(call.x, bytes);
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  if (call.bfloat16) {
    HeadNorms<uint16_t><<<blocks, kBlock, 0, on>>>(call, lanes, aligned);
  } else {
    HeadNorms<float><<<blocks, kBlock, 0, on>>>(call, lanes, aligned);
  }
  return cudaGetLastError();
}

int LaunchWrittenNorms(const WrittenNormsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  if (!call.bfloat16) return Launch<Float32Tile>(call, on);
  if (IsWgmmaWidth(call.width) && CardHasWgmma()) {
    return ForWgmmaWidth(call.width, [&](auto width) {
      return Launch<WgmmaTile<decltype(width)::value>>(call, on);
    });
  }
  return ForBf16Width(call.width, [&](auto width) {
    return Launch<Bf16Tile<decltype(width)::value>>(call, on);
  });
}

int LaunchAttentionAtColumns(const ColumnsCall& call, void* stream) {
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  const dim3 grid((call.tokens + kColumnRows - 1) / kColumnRows, call.heads,
                  call.batch);
  const size_t bytes = static_cast<size_t>(call.chosen) * call.width * 4;
  if (call.bfloat16) {
    AttentionAtColumns<uint16_t><<<grid, kColumnThreads, bytes, on>>>(call);
  } else {
    AttentionAtColumns<float><<<grid, kColumnThreads, bytes, on>>>(call);
  }
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

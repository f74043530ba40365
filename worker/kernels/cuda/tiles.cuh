// A tile of products: 128 stationary vectors against 64 that stream by, by four
// warps of 32 rows. A thread's products are where mma.sync leaves them (for
// wgmma_tile.cuh, where that leaves them):
//
//   product [m][n][i]:  row    = 32 warp + 16 m + 8 (i / 2) + lane / 4
//                       column = 8 n + 2 (lane % 4) + i % 2
//
// so a thread has 4 rows (m, i / 2) and, of each, 16 columns. The float32 tile
// has the same layout with fused multiply-adds: no TF32.
#ifndef SINKWATCH_WORKER_KERNELS_CUDA_TILES_CUH_
#define SINKWATCH_WORKER_KERNELS_CUDA_TILES_CUH_

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace sinkwatch::kernels::cuda {

constexpr int kThreads = 128;
constexpr int kTileRows = 128;
constexpr int kTileColumns = 64;
constexpr int kRowsPerThread = 4;

struct Products {
  float at[2][8][4];
};

struct MmaPlace {  // of a thread in its tile
  __device__ MmaPlace()
      : lane(threadIdx.x % 32),
        first_row(threadIdx.x / 32 * 32 + lane / 4),
        first_column(2 * (lane % 4)) {}
  __device__ int Row(int r) const { return first_row + 8 * r; }
  const int lane, first_row, first_column;
};

// Calls f(r, column, product) for each product of the thread, r = 0..3.
template <typename Place, typename F>
__device__ __forceinline__ void ForEach(const Products& products,
                                        const Place& place, F f) {
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        f(2 * m + i / 2, 8 * n + place.first_column + i % 2,
          products.at[m][n][i]);
      }
    }
  }
}

__device__ __forceinline__ uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// 16 bytes to shared memory; zeros where they are not there.
__device__ __forceinline__ void CopyAsync(void* to, const void* from,
                                          bool there) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(to)),
      "l"(from), "r"(there ? 16 : 0));
}
__device__ __forceinline__ void CommitCopies() {
  asm volatile("cp.async.commit_group;");
}
template <int kUnderWay>
__device__ __forceinline__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kUnderWay));
}

__device__ __forceinline__ void LoadMatrices(uint32_t (&r)[4], const void* p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(p)));
}

__device__ __forceinline__ void MultiplyAdd(float (&c)[4],
                                            const uint32_t (&a)[4], uint32_t b0,
                                            uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Copies `rows` vectors of `width` elements, the first of which is `first` of
// `tokens`, into rows of `pitch` elements.
template <typename Element>
__device__ __forceinline__ void CopyVectors(Element* to, int pitch,
                                            const Element* from,
                                            int64_t token_stride, int first,
                                            int rows, int tokens, int width) {
  constexpr int kPerCopy = 16 / sizeof(Element);
  const int copies = width / kPerCopy;
  for (int i = threadIdx.x; i < rows * copies; i += kThreads) {
    const int row = i / copies, at = i % copies * kPerCopy;
    const bool there = first + row < tokens;
    const int token = there ? first + row : 0;
    CopyAsync(to + row * pitch + at, from + token * token_stride + at, there);
  }
}

// Adds the squares of eight bfloat16.
__device__ __forceinline__ void AddSquaresOf(const uint4& eight, float& sum) {
  const uint32_t words[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
  for (const uint32_t word : words) {
    const float low = __uint_as_float(word << 16),
                high = __uint_as_float(word & 0xffff0000u);
    sum = fmaf(low, low, fmaf(high, high, sum));
  }
}

// The widths of attention_stats_kernels.h, IsKernelWidth of bfloat16, as types:
// what f(std::integral_constant<int, width>()) returns, or that there is none.
template <typename F>
cudaError_t ForBf16Width(int width, F f) {
  switch (width) {
    case 64:
      return f(std::integral_constant<int, 64>());
    case 80:
      return f(std::integral_constant<int, 80>());
    case 96:
      return f(std::integral_constant<int, 96>());
    case 128:
      return f(std::integral_constant<int, 128>());
    case 256:
      return f(std::integral_constant<int, 256>());
    default:
      return cudaErrorInvalidValue;
  }
}

// bfloat16 by the tensor cores. Shared memory: two buffers of streaming
// vectors; the stationary ones pass through them into registers, or, where they
// are too wide for that or registers are short, stay behind them.
template <int kWidth, bool kKept = kWidth <= 128>
class Bf16Tile {
 public:
  using Element = uint16_t;
  using Place = MmaPlace;
  static constexpr int kPitch = kWidth + 8;  // odd in units of 16 bytes
  static constexpr bool kInRegisters = kKept;
  static constexpr int kBuffers = 2;
  // Whether streaming can begin before the stationary vectors are there.
  static constexpr bool kApart = !kInRegisters;
  static constexpr int kStationaryAt =
      kInRegisters ? 0 : kBuffers * kTileColumns * kPitch;
  static size_t SharedBytes(int) {
    return (kStationaryAt + kTileRows * kPitch) * sizeof(Element);
  }

  __device__ Bf16Tile(void* shared, int)
      : shared_(static_cast<Element*>(shared)) {}

  __device__ void LoadStationary(const Element* from, int64_t token_stride,
                                 int first, int tokens) {
    CopyVectors(shared_ + kStationaryAt, kPitch, from, token_stride, first,
                kTileRows, tokens, kWidth);
    CommitCopies();
    WaitForCopies<0>();
    __syncthreads();
    if (!kInRegisters) return;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) LoadStep(k, kept_[k]);
    __syncthreads();
  }

  // Before the barrier after which copies are read.
  template <int kUnderWay>
  __device__ static void WaitForStreaming() {
    WaitForCopies<kUnderWay>();
  }

  __device__ void StartStreaming(const Element* from, int64_t token_stride,
                                 int first, int tokens, int buffer) {
    CopyVectors(shared_ + buffer * kTileColumns * kPitch, kPitch, from,
                token_stride, first, kTileColumns, tokens, kWidth);
  }

  __device__ void Multiply(int buffer, Products& products) {
    const Element* streamed = shared_ + buffer * kTileColumns * kPitch;
    const int lane = threadIdx.x % 32;
    const Element* mine =
        streamed + (lane / 16 * 8 + lane % 8) * kPitch + lane / 8 % 2 * 8;
    Clear(products);
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      uint32_t a[2][4];
      Step(k, a);
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t b[4];
        LoadMatrices(b, mine + n * 8 * kPitch + k * 16);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          MultiplyAdd(products.at[m][n], a[m], b[0], b[1]);
          MultiplyAdd(products.at[m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  // Adds the squares of this thread's elements of the stationary vectors, of
  // its four rows.
  __device__ void AddSquares(float (&sums)[kRowsPerThread]) {
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      uint32_t a[2][4];
      Step(k, a);
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float low = __uint_as_float(a[m][i] << 16),
                      high = __uint_as_float(a[m][i] & 0xffff0000u);
          float& sum = sums[2 * m + i % 2];
          sum = fmaf(low, low, fmaf(high, high, sum));
        }
      }
    }
  }

  // Of a streaming vector, the squares of one half of its elements.
  __device__ float SquaresOfHalf(int buffer, int vector, int half) const {
    const Element* const begin =
        shared_ + (buffer * kTileColumns + vector) * kPitch + half * kWidth / 2;
    float sum = 0;
#pragma unroll 4
    for (int i = 0; i < kWidth / 2; i += 8) {
      AddSquaresOf(*reinterpret_cast<const uint4*>(begin + i), sum);
    }
    return sum;
  }

  __device__ static void Clear(Products& products) {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) products.at[m][n][i] = 0;
      }
    }
  }

 private:
  static constexpr int kSteps = kWidth / 16;

  __device__ void LoadStep(int k, uint32_t (&a)[2][4]) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const Element* mine = shared_ + kStationaryAt +
                          (warp * 32 + lane % 16) * kPitch + lane / 16 * 8 +
                          k * 16;
    LoadMatrices(a[0], mine);
    LoadMatrices(a[1], mine + 16 * kPitch);
  }
  __device__ void Step(int k, uint32_t (&a)[2][4]) {
    if (!kInRegisters) return LoadStep(k, a);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) a[m][i] = kept_[kInRegisters ? k : 0][m][i];
    }
  }

  Element* shared_;
  uint32_t kept_[kInRegisters ? kSteps : 1][2][4];
};

// float32 by fused multiply-adds. Shared memory: the stationary vectors, then
// one buffer.
class Float32Tile {
 public:
  using Element = float;
  using Place = MmaPlace;
  static constexpr bool kApart = true;
  static constexpr int kBuffers = 1;
  static size_t SharedBytes(int width) {
    return (kTileRows + kTileColumns) * (width + 4) * sizeof(Element);
  }

  __device__ Float32Tile(void* shared, int width)
      : shared_(static_cast<Element*>(shared)),
        width_(width),
        pitch_(width + 4) {}

  __device__ void LoadStationary(const Element* from, int64_t token_stride,
                                 int first, int tokens) {
    CopyVectors(shared_, pitch_, from, token_stride, first, kTileRows, tokens,
                width_);
    CommitCopies();
    WaitForCopies<0>();
    __syncthreads();
  }

  template <int kUnderWay>
  __device__ static void WaitForStreaming() {
    WaitForCopies<kUnderWay>();
  }

  __device__ void StartStreaming(const Element* from, int64_t token_stride,
                                 int first, int tokens, int) {
    CopyVectors(shared_ + kTileRows * pitch_, pitch_, from, token_stride, first,
                kTileColumns, tokens, width_);
  }

  __device__ void AddSquares(float (&sums)[kRowsPerThread]) {
    const Place place;
    const Element* row = shared_ + place.first_row * pitch_;
    for (int k = place.lane % 4; k < width_; k += 4) {
#pragma unroll
      for (int r = 0; r < kRowsPerThread; ++r) {
        const float x = row[8 * r * pitch_ + k];
        sums[r] = fmaf(x, x, sums[r]);
      }
    }
  }

  __device__ float SquaresOfHalf(int, int vector, int half) const {
    const Element* const begin = shared_ + (kTileRows + vector) * pitch_;
    float sum = 0;
    for (int i = half; i < width_; i += 2) {
      sum = fmaf(begin[i], begin[i], sum);
    }
    return sum;
  }

  __device__ void Multiply(int, Products& products) {
    const Place place;
    const Element* row = shared_ + place.first_row * pitch_;
    const Element* column = shared_ + (kTileRows + place.first_column) * pitch_;
    Bf16Tile<64>::Clear(products);
    for (int k = 0; k < width_; k += 4) {
      float4 a[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        a[r] = *reinterpret_cast<const float4*>(row + 8 * r * pitch_ + k);
      }
#pragma unroll
      for (int n = 0; n < 8; ++n) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const float4 b = *reinterpret_cast<const float4*>(
              column + (8 * n + j) * pitch_ + k);
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            float& sum = products.at[r / 2][n][r % 2 * 2 + j];
            sum = fmaf(a[r].x, b.x, sum);
            sum = fmaf(a[r].y, b.y, sum);
            sum = fmaf(a[r].z, b.z, sum);
            sum = fmaf(a[r].w, b.w, sum);
          }
        }
      }
    }
  }

 private:
  Element* shared_;
  const int width_, pitch_;
};

// Lengths of the stationary vectors: f(row of the tile, length), once a row.
template <typename Tile, typename F>
__device__ __forceinline__ void ForEachLength(Tile& tile, F f) {
  const typename Tile::Place place;
  float squares[kRowsPerThread] = {};
  tile.AddSquares(squares);
#pragma unroll
  for (int r = 0; r < kRowsPerThread; ++r) {
    float sum = squares[r];
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    if (place.lane % 4 == r) f(place.Row(r), sqrtf(sum));
  }
}

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_TILES_CUH_

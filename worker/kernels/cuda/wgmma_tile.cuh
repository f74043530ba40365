// The tile of tiles.cuh by Hopper's wgmma: the four warps multiply together,
// out of shared memory, while they do something else. A thread's products are
// where wgmma leaves them:
//
//   product [m][n][i]:  row    = 64 m + 16 warp + 8 (i / 2) + lane / 4
//                       column = 8 n + 2 (lane % 4) + i % 2
//
// so that the halves m are rows [0,64) and [64,128). For code of compute
// capability 9.0 alone (sm_90a); elsewhere it compiles to nothing.
#ifndef SINKWATCH_WORKER_KERNELS_CUDA_WGMMA_TILE_CUH_
#define SINKWATCH_WORKER_KERNELS_CUDA_WGMMA_TILE_CUH_

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "worker/kernels/cuda/tiles.cuh"

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define SINKWATCH_HAS_WGMMA 1
#endif

namespace sinkwatch::kernels::cuda {

// Whether the current card runs code of sm_90a.
inline bool CardHasWgmma() {
  int device = 0, major = 0, minor = 0;
  return cudaGetDevice(&device) == cudaSuccess &&
         cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor,
                                device) == cudaSuccess &&
         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor,
                                device) == cudaSuccess &&
         major == 9 && minor == 0;
}

// Widths that there is a WgmmaTile for: what is wider leaves no room for
// several blocks on a multiprocessor, other ones are no multiple of its 64.
constexpr bool IsWgmmaWidth(int width) { return width == 64 || width == 128; }

// f(std::integral_constant<int, width>()), for a width that IsWgmmaWidth.
template <typename F>
cudaError_t ForWgmmaWidth(int width, F f) {
  return width == 64 ? f(std::integral_constant<int, 64>())
                     : f(std::integral_constant<int, 128>());
}

struct WgmmaPlace {  // of a thread in its tile
  __device__ WgmmaPlace()
      : lane(threadIdx.x % 32),
        first_row(threadIdx.x / 32 * 16 + lane / 4),
        first_column(2 * (lane % 4)) {}
  __device__ int Row(int r) const {
    return first_row + 64 * (r / 2) + 8 * (r % 2);
  }
  const int lane, first_row, first_column;
};

using HalfOfProducts = float[8][4];

template <int kWidth>
class WgmmaTile;

// Whether this pass of the compiler has code of the tile.
template <typename Tile>
constexpr bool kIsCompiled = true;

#ifndef SINKWATCH_HAS_WGMMA
template <int kWidth>
constexpr bool kIsCompiled<WgmmaTile<kWidth>> = false;
// What the host's code names; the host's own pass has the tile.
template <int kWidth>
class WgmmaTile {
 public:
  static size_t SharedBytes(int) { return 0; }
};
#else

// What ordinary copies wrote becomes visible to wgmma.
__device__ __forceinline__ void FenceForWgmma() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// Registers are the products' from here on.
__device__ __forceinline__ void BeginWgmma() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void CommitWgmma() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int kUnderWay>
__device__ __forceinline__ void WaitForWgmma() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kUnderWay) : "memory");
}
// Keeps the compiler from reading products before they are waited for.
__device__ __forceinline__ void Pin(HalfOfProducts& half) {
#pragma unroll
  for (int n = 0; n < 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(half[n][i])::"memory");
  }
}

// half = (add ? half : 0) + a b', for a and b of 64 rows and 16 columns.
template <int kAdd>
__device__ __forceinline__ void IssueWgmma(HalfOfProducts& half, uint64_t a,
                                           uint64_t b) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "%32, %33, p, 1, 1, 0, 0;\n"
      "}\n"
      : "+f"(half[0][0]), "+f"(half[0][1]), "+f"(half[0][2]), "+f"(half[0][3]),
        "+f"(half[1][0]), "+f"(half[1][1]), "+f"(half[1][2]), "+f"(half[1][3]),
        "+f"(half[2][0]), "+f"(half[2][1]), "+f"(half[2][2]), "+f"(half[2][3]),
        "+f"(half[3][0]), "+f"(half[3][1]), "+f"(half[3][2]), "+f"(half[3][3]),
        "+f"(half[4][0]), "+f"(half[4][1]), "+f"(half[4][2]), "+f"(half[4][3]),
        "+f"(half[5][0]), "+f"(half[5][1]), "+f"(half[5][2]), "+f"(half[5][3]),
        "+f"(half[6][0]), "+f"(half[6][1]), "+f"(half[6][2]), "+f"(half[6][3]),
        "+f"(half[7][0]), "+f"(half[7][1]), "+f"(half[7][2]), "+f"(half[7][3])
      : "l"(a), "l"(b), "n"(kAdd));
}

// Shared memory: the stationary vectors, then two buffers of streaming ones,
// each in slabs of 64 elements a vector: rows of 128 bytes whose pieces of 16
// are swizzled as wgmma reads them, piece p of row r at p ^ r % 8.
template <int kWidth>
class WgmmaTile {
 public:
  using Element = uint16_t;
  using Place = WgmmaPlace;
  static constexpr bool kApart = true;
  static constexpr int kBuffers = 2;
  static size_t SharedBytes(int) {
    return kAlignment +
           (kTileRows + kBuffers * kTileColumns) * kWidth * sizeof(Element);
  }

  __device__ WgmmaTile(void* shared, int)
      : stationary_((SharedAddress(shared) + kAlignment - 1) / kAlignment *
                    kAlignment),
        generic_(static_cast<unsigned char*>(shared) +
                 (stationary_ - SharedAddress(shared))) {}

  __device__ void LoadStationary(const Element* from, int64_t token_stride,
                                 int first, int tokens) {
    Copy<kTileRows>(stationary_, from, token_stride, first, tokens);
    CommitCopies();
    WaitForStreaming<0>();
    __syncthreads();
  }

  __device__ void StartStreaming(const Element* from, int64_t token_stride,
                                 int first, int tokens, int buffer) {
    Copy<kTileColumns>(Streaming(buffer), from, token_stride, first, tokens);
  }

  // Before the barrier after which copies are multiplied.
  template <int kUnderWay>
  __device__ static void WaitForStreaming() {
    WaitForCopies<kUnderWay>();
    FenceForWgmma();
  }

  // Starts on the products of half m. Those of a buffer and a half at a time
  // end in the order in which they were issued.
  template <int m>
  __device__ __forceinline__ void Issue(int buffer, HalfOfProducts& half) {
    const uint64_t a = Descriptor(stationary_ + m * 64 * kRowBytes),
                   b = Descriptor(Streaming(buffer));
    BeginWgmma();
    Multiply<0>(half, a, b);
    CommitWgmma();
  }

  __device__ void Multiply(int buffer, Products& products) {
    Issue<0>(buffer, products.at[0]);
    Issue<1>(buffer, products.at[1]);
    WaitForWgmma<0>();
    Pin(products.at[0]);
    Pin(products.at[1]);
  }

  // Adds the squares of this thread's elements of the stationary vectors, of
  // its four rows.
  __device__ void AddSquares(float (&sums)[kRowsPerThread]) {
    const Place place;
#pragma unroll
    for (int r = 0; r < kRowsPerThread; ++r) {
      const int row = place.Row(r);
#pragma unroll
      for (int j = 0; j < kPieces / 4; ++j) {
        const int piece = place.lane % 4 + 4 * j;
        AddSquaresOf(*reinterpret_cast<const uint4*>(
                         generic_ + Offset<kTileRows>(row, piece)),
                     sums[r]);
      }
    }
  }

  // Of a streaming vector, the squares of one half of its elements.
  __device__ float SquaresOfHalf(int buffer, int vector, int half) const {
    const unsigned char* const begin =
        generic_ + (Streaming(buffer) - stationary_);
    float sum = 0;
#pragma unroll 4
    for (int i = 0; i < kPieces / 2; ++i) {
      AddSquaresOf(
          *reinterpret_cast<const uint4*>(
              begin + Offset<kTileColumns>(vector, half * kPieces / 2 + i)),
          sum);
    }
    return sum;
  }

 private:
  static constexpr int kAlignment = 1024;  // of what is swizzled
  static constexpr int kRowBytes = 128;
  static constexpr int kPieces = kWidth / 8;  // of 16 bytes, of a vector
  static constexpr int kSteps = kWidth / 16;

  // Where a piece of a vector lies, of `kRows` vectors.
  template <int kRows>
  __device__ static int Offset(int row, int piece) {
    return (piece / 8 * kRows + row) * kRowBytes + ((piece ^ row) % 8) * 16;
  }

  template <int kRows>
  __device__ __forceinline__ static void Copy(uint32_t to, const Element* from,
                                              int64_t token_stride, int first,
                                              int tokens) {
    // A thread's rows are so far apart that all are swizzled alike.
    constexpr int kApart = kThreads / kPieces, kCopies = kRows / kApart;
    static_assert(kApart % 8 == 0 && kRows % kApart == 0, "rows of a thread");
    const int row = threadIdx.x / kPieces, piece = threadIdx.x % kPieces;
    to += Offset<kRows>(row, piece);
    const Element* next = from + (first + row) * token_stride + piece * 8;
    const int64_t apart = kApart * token_stride;
    if (first + kRows <= tokens) {
#pragma unroll
      for (int j = 0; j < kCopies; ++j, next += apart) {
        CopyPiece(to + j * kApart * kRowBytes, next, true);
      }
      return;
    }
#pragma unroll
    for (int j = 0; j < kCopies; ++j, next += apart) {
      const bool there = first + row + j * kApart < tokens;
      CopyPiece(to + j * kApart * kRowBytes, there ? next : from, there);
    }
  }

  __device__ __forceinline__ static void CopyPiece(uint32_t to,
                                                   const Element* from,
                                                   bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(from), "r"(there ? 16 : 0)
                 : "memory");
  }

  __device__ uint32_t Streaming(int buffer) const {
    return stationary_ + (kTileRows + buffer * kTileColumns) * kWidth *
                             static_cast<int>(sizeof(Element));
  }

  // Of a matrix whose rows are 128 bytes, swizzled: groups of 8 rows are 1024
  // bytes apart (PTX ISA, matrix descriptor).
  __device__ static uint64_t Descriptor(uint32_t address) {
    constexpr uint64_t kSwizzle128 = 1ull << 62, kGroups = 1024 / 16;
    return (address & 0x3ffff) / 16 | 1ull << 16 | kGroups << 32 | kSwizzle128;
  }

  // The steps along the width from kStep on: 16 elements, in slabs of four.
  template <int kStep>
  __device__ __forceinline__ static void Multiply(HalfOfProducts& half,
                                                  uint64_t a, uint64_t b) {
    constexpr int kSlab = kStep / 4, kInSlab = kStep % 4 * 32 / 16;
    IssueWgmma<(kStep > 0)>(
        half, a + kSlab * kTileRows * kRowBytes / 16 + kInSlab,
        b + kSlab * kTileColumns * kRowBytes / 16 + kInSlab);
    if constexpr (kStep + 1 < kSteps) Multiply<kStep + 1>(half, a, b);
  }

  const uint32_t stationary_;
  const unsigned char* const generic_;
};

#endif  // SINKWATCH_HAS_WGMMA

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_WGMMA_TILE_CUH_

// XXH3-128 with a seed, of rows longer than 240 bytes, a warp a row: what the
// checkpoint's digests are sums of (worker/checkpoint/content_digest.h). By the
// words of xxhash.h: stripes of 64 bytes are 8 lanes of 8; 16 of them make a
// block, in which lanes only add up, so that threads share its stripes.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/digest_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;
constexpr int kLanes = 8;                  // words of a stripe
constexpr int kStripes = 16;               // of a block
constexpr int kSharers = kWarp / kLanes;   // threads that share a lane
constexpr int kOfThread = kStripes / kSharers;
constexpr int kStripeBytes = 64;
constexpr int kBlockBytes = kStripes * kStripeBytes;
constexpr int kSecretBytes = 192;

__constant__ uint64_t kSecret[kSecretBytes / 8] = {
    0xbe4ba423396cfeb8ULL, 0x1cad21f72c81017cULL, 0xdb979083e96dd4deULL,
    0x1f67b3b7a4a44072ULL, 0x78e5c0cc4ee679cbULL, 0x2172ffcc7dd05a82ULL,
    0x8e2443f7744608b8ULL, 0x4c263a81e69035e0ULL, 0xcb00c391bb52283cULL,
    0xa32e531b8b65d088ULL, 0x4ef90da297486471ULL, 0xd8acdea946ef1938ULL,
    0x3f349ce33f76faa8ULL, 0x1d4f0bc7c7bbdcf9ULL, 0x3159b4cd4be0518aULL,
    0x647378d9c97e9fc8ULL, 0xc3ebd33483acc5eaULL, 0xeb6313faffa081c5ULL,
    0x49daf0b751dd0d17ULL, 0x9e68d429265516d3ULL, 0xfca1477d58be162bULL,
    0xce31d07ad1b8f88fULL, 0x280416958f3acb45ULL, 0x7e404bbbcafbd7afULL};

constexpr uint64_t kPrime64_1 = 0x9E3779B185EBCA87ULL;
constexpr uint64_t kPrime64_2 = 0xC2B2AE3D27D4EB4FULL;
constexpr uint64_t kPrime64_3 = 0x165667B19E3779F9ULL;
constexpr uint64_t kPrime64_4 = 0x85EBCA77C2B2AE63ULL;
constexpr uint64_t kPrime64_5 = 0x27D4EB2F165667C5ULL;
constexpr uint64_t kPrime32_1 = 0x9E3779B1U;
constexpr uint64_t kPrime32_2 = 0x85EBCA77U;
constexpr uint64_t kPrime32_3 = 0xC2B2AE3DU;

// What each lane's sum begins with.
__constant__ uint64_t kFirstSums[kLanes] = {
    kPrime32_3, kPrime64_1, kPrime64_2, kPrime64_3,
    kPrime64_4, kPrime32_2, kPrime64_5, kPrime32_1};

__device__ __forceinline__ uint64_t FromLane(uint64_t x, int mask) {
  return __shfl_xor_sync(~0u, x, mask);
}

// The secret of a seed, 8 bytes from byte `at` on.
__device__ __forceinline__ uint64_t SecretWord(int word, uint64_t seed) {
  return kSecret[word] + (word % 2 == 0 ? seed : 0 - seed);
}
__device__ __forceinline__ uint64_t Secret(int at, uint64_t seed) {
  const int word = at / 8, shift = at % 8 * 8;
  const uint64_t low = SecretWord(word, seed);
  if (shift == 0) return low;
  return low >> shift | SecretWord(word + 1, seed) << (64 - shift);
}

// What a lane of a stripe adds to its own sum, and to its neighbour's.
struct Added {
  __device__ __forceinline__ void Take(uint64_t word, uint64_t secret) {
    const uint64_t key = word ^ secret;
    own += (key & 0xffffffffU) * (key >> 32);
    neighbours += word;
  }
  uint64_t own = 0, neighbours = 0;
};

// One half of the hash, from the sums of all lanes; the same in each thread.
__device__ __forceinline__ uint64_t Merged(uint64_t sum, int lane, int at,
                                           uint64_t seed, uint64_t start) {
  const uint64_t key = sum ^ Secret(at + 8 * lane, seed);
  const uint64_t other = FromLane(key, 1);
  uint64_t folded = (key * other) ^ __umul64hi(key, other);
  folded += FromLane(folded, 2);
  folded += FromLane(folded, 4);
  uint64_t hash = start + folded;
  hash ^= hash >> 37;
  hash *= 0x165667919E3779F9ULL;
  return hash ^ hash >> 32;
}

struct Sum128 {
  __device__ __forceinline__ void Add(uint64_t more_low, uint64_t more_high) {
    low += more_low;
    high += more_high + (low < more_low ? 1 : 0);
  }
  uint64_t low = 0, high = 0;
};

// A thread's words of one block; zeros where it has fewer stripes.
struct Words {
  __device__ __forceinline__ void Load(const char* block, int stripes) {
#pragma unroll
    for (int i = 0; i < kOfThread; ++i) {
      const int stripe = threadIdx.x % kWarp / kLanes + kSharers * i;
      at[i] = stripe < stripes
                  ? reinterpret_cast<const uint64_t*>(
                        block)[stripe * kLanes + threadIdx.x % kLanes]
                  : 0;
    }
  }
  uint64_t at[kOfThread];
};

__device__ void HashRow(const char* row, int64_t bytes, uint64_t seed,
                        Sum128& sum) {
  const int lane = threadIdx.x % kLanes;
  const int sharer = threadIdx.x % kWarp / kLanes;
  uint64_t secret[kOfThread];
#pragma unroll
  for (int i = 0; i < kOfThread; ++i) {
    secret[i] = SecretWord(sharer + kSharers * i + lane, seed);
  }
  const uint64_t scramble =
      Secret(kSecretBytes - kStripeBytes + 8 * lane, seed);
  const int64_t last = (bytes - 1) / kBlockBytes;
  const auto stripes_of = [&](int64_t block) {
    return block < last
               ? kStripes
               : static_cast<int>((bytes - 1 - last * kBlockBytes) /
                                  kStripeBytes);
  };
  uint64_t acc = kFirstSums[lane];
  Words words, next;
  words.Load(row, stripes_of(0));
  for (int64_t block = 0; block <= last; ++block) {
    // On its way while this one is hashed.
    if (block < last) {
      next.Load(row + (block + 1) * kBlockBytes, stripes_of(block + 1));
    }
    const int stripes = stripes_of(block);
    Added added;
#pragma unroll
    for (int i = 0; i < kOfThread; ++i) {
      if (sharer + kSharers * i < stripes) added.Take(words.at[i], secret[i]);
    }
    if (block == last && sharer == 0) {
      added.Take(
          *reinterpret_cast<const uint64_t*>(row + bytes - kStripeBytes +
                                             8 * lane),
          Secret(kSecretBytes - kStripeBytes - 7 + 8 * lane, seed));
    }
    uint64_t of_block = added.own + FromLane(added.neighbours, 1);
    of_block += FromLane(of_block, kLanes);
    of_block += FromLane(of_block, 2 * kLanes);
    acc += of_block;
    if (block < last) acc = (acc ^ acc >> 47 ^ scramble) * kPrime32_1;
    words = next;
  }
  const uint64_t length = static_cast<uint64_t>(bytes);
  sum.Add(Merged(acc, lane, 11, seed, length * kPrime64_1),
          Merged(acc, lane, kSecretBytes - kStripeBytes - 11, seed,
                 ~(length * kPrime64_2)));
}

// To a sum in memory; the order does not matter modulo 2^128.
__device__ void AddTo(unsigned long long* to, const Sum128& sum) {
  const unsigned long long before = atomicAdd(to, sum.low);
  const bool carry = before + sum.low < before;
  atomicAdd(to + 1, sum.high + (carry ? 1 : 0));
}

__global__ void __launch_bounds__(kThreads) RowHash(RowHashCall call) {
  __shared__ Sum128 of_warps[kWarps];
  const int warp = threadIdx.x / kWarp;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kWarps;
  for (int i = 0; i < call.count; ++i) {
    const HashedRows& tensor = call.tensors[i];
    Sum128 sum;
    for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
         row < tensor.count; row += stride) {
      HashRow(static_cast<const char*>(tensor.rows) + row * tensor.row_bytes,
              tensor.row_bytes, static_cast<uint64_t>(tensor.first + row), sum);
    }
    if (threadIdx.x % kWarp == 0) of_warps[warp] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int w = 1; w < kWarps; ++w) sum.Add(of_warps[w].low, of_warps[w].high);
      AddTo(call.sums + 2 * tensor.sum, sum);
    }
    __syncthreads();
  }
}

}  // namespace

int LaunchRowHash(const RowHashCall& call, void* stream) {
  // As many as a card of 132 multiprocessors has at a time.
  constexpr int kBlocks = 132 * 3;
  RowHash<<<kBlocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(call);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

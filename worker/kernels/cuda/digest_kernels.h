#ifndef SINKWATCH_WORKER_KERNELS_CUDA_DIGEST_KERNELS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_DIGEST_KERNELS_H_

#include <cstdint>

// What nvcc compiles and a host compiler calls: no torch and no CUDA headers.
namespace sinkwatch::kernels::cuda {

// Rows of a tensor, one after the other.
struct HashedRows {
  const void* rows = nullptr;  // aligned to 8 bytes
  int64_t first = 0;           // the seed of the first row's hash
  int64_t count = 0;
  int64_t row_bytes = 0;
  int64_t sum = 0;  // number of the sum that they are added to
};

// Adds XXH3-128 of each row, seeded with its index, to sums modulo 2^128
// (worker/checkpoint/row_hash.h).
constexpr int kMaxHashedTensors = 16;
struct RowHashCall {
  HashedRows tensors[kMaxHashedTensors];
  int count = 0;
  unsigned long long* sums = nullptr;  // low and high half of each
};
// XXH3 treats short rows otherwise, and words may not lie across rows' borders.
constexpr bool IsHashedRow(int64_t row_bytes) {
  return row_bytes > 240 && row_bytes % 8 == 0;
}
int LaunchRowHash(const RowHashCall& call, void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_DIGEST_KERNELS_H_

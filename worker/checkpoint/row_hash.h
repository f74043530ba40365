#ifndef SINKWATCH_WORKER_CHECKPOINT_ROW_HASH_H_
#define SINKWATCH_WORKER_CHECKPOINT_ROW_HASH_H_

#include <cstdint>

namespace sinkwatch::checkpoint {

// A sum modulo 2^128.
struct RowHashSum {
  void Add(const RowHashSum& other) {
    low += other.low;
    high += other.high + (low < other.low ? 1 : 0);
  }
  uint64_t low = 0;
  uint64_t high = 0;
};

// The sum of XXH3-128 of `count` rows, one after the other, each seeded with
// its index, `first` and up. The same on every machine; the second needs AVX2
// and is twice as fast, the third AVX-512.
RowHashSum SumRowHashesPortable(const char* rows, int64_t first, int64_t count,
                                int64_t row_bytes);
RowHashSum SumRowHashesAvx2(const char* rows, int64_t first, int64_t count,
                            int64_t row_bytes);
RowHashSum SumRowHashesAvx512(const char* rows, int64_t first, int64_t count,
                              int64_t row_bytes);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_ROW_HASH_H_

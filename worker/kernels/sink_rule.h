#ifndef SINKWATCH_WORKER_KERNELS_SINK_RULE_H_
#define SINKWATCH_WORKER_KERNELS_SINK_RULE_H_

#include <algorithm>
#include <cstdint>

// The numbers of FindSinkColumns (sink_columns.h), for every implementation.
namespace sinkwatch::kernels {

constexpr int64_t kMaxSinks = 4;  // of a sequence and head
constexpr float kMinMassOfSink = 0.2F;
constexpr float kMinRowsOfSink = 8;

// Rows t >= 1 of `tokens` that see the column most rows see.
inline int64_t MostRowsThatSee(int64_t tokens, int64_t window) {
  const int64_t rows = std::max<int64_t>(tokens - 1, 0);
  return window > 0 ? std::min(rows, window) : rows;
}

// How many rows must see a column for it to count.
inline float FewestRowsOfSink(int64_t tokens, int64_t window) {
  return std::max(kMinRowsOfSink,
                  static_cast<float>(MostRowsThatSee(tokens, window)) / 2);
}

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_SINK_RULE_H_

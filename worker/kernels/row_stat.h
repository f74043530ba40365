#ifndef SINKWATCH_WORKER_KERNELS_ROW_STAT_H_
#define SINKWATCH_WORKER_KERNELS_ROW_STAT_H_

// The order of the statistics of a row, once for all who fill or read them.
// Without includes, because the fused kernels may have none: fused_head.h.
namespace sinkwatch::kernels {

enum RowStat : int {
  kLogSumExp,
  kSinkLogit,
  kSinkAttention,
  kRestLogSumExp,
  kRestMeanLogit,
  kPreviousAttention,
  kEntropy,
  kMaxAbsLogit,
  kRowSum,
  kNumRowStats,
};

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_STAT_H_

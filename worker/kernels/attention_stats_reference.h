#ifndef SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_REFERENCE_H_
#define SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_REFERENCE_H_

#include "ATen/core/Tensor.h"
#include "worker/kernels/attention_stats.h"

namespace sinkwatch::kernels {

// What ComputeAttentionStats means, row by row in plain loops, with every sum
// in float64: slow, and written to be read. Same arguments; float64 results on
// the CPU. For tests.
AttentionStats ReferenceAttentionStats(const at::Tensor& q_BHTE,
                                       const at::Tensor& k_BGTE,
                                       const at::Tensor& v_BGTE,
                                       const AttentionOptions& options);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_REFERENCE_H_

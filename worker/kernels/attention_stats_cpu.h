#ifndef SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_CPU_H_
#define SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_CPU_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/kernels/attention_stats_operator.h"
#include "worker/kernels/fused_head.h"

namespace sinkwatch::kernels {

// The kernels that this machine can run, fastest first; never empty. The
// operator takes the first.
std::vector<const FusedHead*> SupportedFusedHeads();

// The operator by given kernels, on the threads of at::parallel_for. A head's
// numbers depend on nothing but that head: not on the batch, nor the threads.
OperatorResult AttentionStatsFused(
    const FusedHead& kernels, const at::Tensor& q_BHTE,
    const at::Tensor& k_BGTE, const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_CPU_H_

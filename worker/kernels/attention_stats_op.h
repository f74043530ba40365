#ifndef SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_OP_H_
#define SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_OP_H_

#include <optional>
#include <tuple>

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// The result of sinkwatch::attention_stats as an operator returns it, in the
// order of AttentionStats' members; the last is empty without v.
using AttentionStatsTuple =
    std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor,
               at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor,
               at::Tensor>;

// Implementations; their contract is ComputeAttentionStats'. `relu` is
// Normalisation::kRelu.
//
// Any device: ATen operations over blocks of rows.
AttentionStatsTuple AttentionStatsBlocked(const at::Tensor& q_BHTE,
                                          const at::Tensor& k_BGTE,
                                          const std::optional<at::Tensor>& v,
                                          double scale, int64_t window,
                                          bool relu);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_OP_H_

#ifndef SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_OPERATOR_H_
#define SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_OPERATOR_H_

#include <cstdint>
#include <optional>
#include <tuple>

#include "ATen/core/Tensor.h"
#include "worker/kernels/row_stat.h"

// What an implementation of sinkwatch::attention_stats has to give. Only those
// who add a device, and tests, need this; callers use attention_stats.h, whose
// legend and definitions hold here.
//
//   attention_stats(Tensor q, Tensor k, Tensor? v, Tensor? learned_sinks,
//                   float scale, int window, int normalisation)
//                   -> (Tensor, Tensor, Tensor)
//
// q [B,H,T,E]; k, v [B,G,T,E] with H a multiple of G, T >= 1 and E >= 1;
// float32 or bfloat16, all of one dtype and device, any strides; learned_sinks
// float32 [H], contiguous, on that device, with softmax only. The caller has
// checked that. Results, all float32 and contiguous:
//   rows    [kNumRowStats,B,H,T]  in the order of RowStat
//   columns [B,H,T]               column_mass
//   output  [B,H,T,E]             A v; [0] without v
namespace sinkwatch::kernels {

using OperatorResult = std::tuple<at::Tensor, at::Tensor, at::Tensor>;

// Blocks of rows of ATen operators: every device that has no own
// implementation. Holds at most about 2^22 logits, or 16 rows, at a time.
OperatorResult AttentionStatsByRowBlocks(
    const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
    const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation);

// What a device's own implementation is asked for; any other call goes to the
// row blocks: softmax without v, a positive scale, heads of at most 256
// elements, as many sequences and heads as a grid of blocks has places.
inline bool HasDeviceKernel(const at::Tensor& q_BHTE, bool has_value,
                            double scale, int64_t normalisation) {
  constexpr int64_t kWidest = 256, kGrid = 65535;
  return normalisation == 0 && !has_value && scale > 0 &&
         q_BHTE.size(3) <= kWidest && q_BHTE.size(0) <= kGrid &&
         q_BHTE.size(1) <= kGrid;
}

// sinkwatch::attention_stats_once: rows, columns, query_norm and key_norm of
// causal softmax without a window, in one pass over q k', from q and k and the
// log-sum-exp of each row (float32 [B,H,T], AttentionOptions::log_sum_exp_BHT).
// What a device may have beside the operator above, for so many tokens: it
// keeps a sum of each column for every 128 rows.
constexpr int64_t kMaxOnePass = 8192;
using OnePassResult =
    std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
using OnePassSignature = OnePassResult(const at::Tensor& q_BHTE,
                                       const at::Tensor& k_BGTE,
                                       const at::Tensor& log_sum_exp_BHT,
                                       double scale);

// The same with a soft cap of the logits (0: none), which the operator has not.
OperatorResult SoftCappedAttentionStats(
    const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
    const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation, double soft_cap);

// cap tanh(logits / cap); the logits where cap is 0.
at::Tensor SoftCapped(const at::Tensor& logits, double cap);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_OPERATOR_H_

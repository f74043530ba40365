#ifndef SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_H_
#define SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// Legend: B sequences, H query heads, G key/value heads (head h uses key/value
// head floor(h*G/H)), T tokens, E head width. Row t is a query position, column
// k a key position, both from 0. Row t sees column k iff k <= t and, with a
// window w > 0, k > t - w. s[t,k] = scale * q_t . k_k; with a soft cap c > 0 it
// is c tanh(scale * q_t . k_k / c).

enum class Normalisation {
  kSoftmax,  // A[t,k] = exp(s[t,k]) / sum over visible k of exp(s[t,k])
  kRelu,     // A[t,k] = max(s[t,k], 0) / (t + 1): not a distribution
};

// A learned sink is a logit c_h of each head that stands beside the keys' in
// every row: A[t,k] = exp(s[t,k]) / (exp(c_h) + sum over visible k of
// exp(s[t,k])). A row then adds up to less than 1; what is lost went to no key.

struct AttentionOptions {
  double scale = 1.0;
  int64_t window = 0;  // 0: every column up to t
  Normalisation normalisation = Normalisation::kSoftmax;
  // c_h: [H], any floating type, on the device of q; undefined: no learned
  // sinks. For softmax only.
  at::Tensor learned_sinks_H = {};
  double soft_cap = 0;  // 0: none
  // What AttentionStats::log_sum_exp is going to be, where it is known: float32
  // [B,H,T], right to 1e-4. A device may then need q k' once only. Undefined:
  // not known.
  at::Tensor log_sum_exp_BHT = {};
};

// What is known of an attention pattern without keeping it. Each tensor is
// float32 [B,H,T], one number per row, unless said otherwise; where a row does
// not see what a number is about, it is 0 (logarithms: -infinity).
struct AttentionStats {
  // Of s[t,k] over the visible k, and of c_h where there is one: softmax's
  // denominator, so A[t,k] = exp(s[t,k] - log_sum_exp) and the lost share of a
  // row is exp(c_h - log_sum_exp).
  at::Tensor log_sum_exp;
  at::Tensor sink_logit;          // s[t,0]
  at::Tensor sink_attention;      // A[t,0]
  at::Tensor rest_log_sum_exp;    // of s[t,k] over the visible k >= 1; no c_h
  at::Tensor rest_mean_logit;     // mean of s[t,k] over the visible 1 <= k < t
  at::Tensor previous_attention;  // A[t,t-1]
  // -sum p ln p over the row's outcomes (nats): the visible k and, where there
  // is one, the learned sink with the lost share; softmax only, else 0.
  at::Tensor entropy;
  at::Tensor max_abs_logit;  // max |s[t,k]| over the visible k; no c_h
  at::Tensor row_sum;        // sum over visible k of A[t,k]; softmax: 1,
                             // with a learned sink less
  at::Tensor column_mass;    // [B,H,T], per COLUMN k: sum over rows t >= 1
  at::Tensor output;         // [B,H,T,E] = A v; undefined without v
  // ||q_t||, and ||k_t|| as [B,G,T], where they were found on the way; else
  // undefined.
  at::Tensor query_norm = {}, key_norm = {};
};

// The statistics, and A v where `v` is defined, without a T x T tensor at any
// time: memory beyond the result is O(T) per head. q [B,H,T,E]; k, v [B,G,T,E];
// float32 or bfloat16, on one device. Sums are taken in float32 or better. Not
// differentiable.
//
// One operator, sinkwatch::attention_stats, with an implementation per device:
// the fused path of attention_stats_cpu.cc on the CPU, row blocks of ATen
// operators elsewhere, and everywhere with a soft cap. Throws c10::Error for
// shapes that do not fit.
AttentionStats ComputeAttentionStats(const at::Tensor& q_BHTE,
                                     const at::Tensor& k_BGTE,
                                     const at::Tensor& v_BGTE,
                                     const AttentionOptions& options);

// A[t,c] for a few chosen columns: columns_BHC int64 (negative: none, gives 0)
// -> float32 [B,H,T,C]; 0 where row t does not see column c.
at::Tensor AttentionAtColumns(const at::Tensor& q_BHTE,
                              const at::Tensor& k_BGTE,
                              const AttentionStats& stats,
                              const at::Tensor& columns_BHC,
                              const AttentionOptions& options);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_H_

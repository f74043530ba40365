#ifndef SINKWATCH_WORKER_MODEL_DELTA_NET_H_
#define SINKWATCH_WORKER_MODEL_DELTA_NET_H_

#include "ATen/core/Tensor.h"

// Gated delta networks (arXiv 2412.06464): a layer that mixes tokens through a
// state instead of attention. Free functions, differentiable, neutral to
// device. B sequences, T tokens, C channels, K taps, H heads, E width of a
// head's keys, V of its values.
namespace sinkwatch::model {

// Each channel's last K inputs weighted, then silu: x [B,T,C], weight [C,1,K].
at::Tensor CausalConvolution(const at::Tensor& x_BTC,
                             const at::Tensor& weight_C1K);

// The gated delta rule over a state S [E,V] per head, from S = 0:
//   S <- exp(g_t) S;  S <- S + beta_t k_t (v_t - S^T k_t)^T;  o_t = S^T q_t
// with q and k of length 1 (x / sqrt(|x|^2 + 1e-6)) and q / sqrt(E) then.
// q, k [B,H,T,E], v [B,H,T,V], g and beta [B,H,T] -> o [B,H,T,V], all in
// float32. Computed by chunks of 64 tokens, so nothing is as large as T x T.
at::Tensor GatedDeltaRule(const at::Tensor& q_BHTE, const at::Tensor& k_BHTE,
                          const at::Tensor& v_BHTV, const at::Tensor& g_BHT,
                          const at::Tensor& beta_BHT);

// -exp(a_log) softplus(a + dt_bias) in float32: the logarithm of how much of
// the state a token leaves. a [B,T,H] -> g [B,H,T].
at::Tensor LogDecay(const at::Tensor& a_BTH, const at::Tensor& a_log_H,
                    const at::Tensor& dt_bias_H);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_DELTA_NET_H_

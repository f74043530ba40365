#ifndef SINKWATCH_WORKER_MODEL_ATTENTION_EXTRAS_H_
#define SINKWATCH_WORKER_MODEL_ATTENTION_EXTRAS_H_

#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/tensor_map.h"

// What OLMo-core can add to the attention of any of its blocks: a learned sink
// for each head (as gpt-oss), and a gate on what attention gives, sigmoid of a
// projection of what attention reads (arXiv 2505.06708). B sequences, T tokens,
// D width, H heads, E head width.
namespace sinkwatch::model {

enum class GateKind { kNone, kByHead, kByElement };

struct AttentionExtras {
  bool learned_sinks = false;
  GateKind gate = GateKind::kNone;
  bool gate_bias = false;

  bool any() const { return learned_sinks || gate != GateKind::kNone; }
};

// Keys attention_sinks and attention_gate ("headwise", "elementwise"), which
// the translation of OLMo-core's config makes.
AttentionExtras ReadAttentionExtras(files::Fields& config, bool bias);

// "self_attn.sinks" [H] and "self_attn.gate" [H,D] or [H*E,D], those that are.
std::vector<TensorSpec> ExtraTensors(int layer, const ModelShape& shape,
                                     const AttentionExtras& extras);

// The learned sinks; undefined without.
at::Tensor SinksOf(const TensorMap& weights, const AttentionExtras& extras);
// The gate of n_BTD, which attention reads: [B,H,T,1] or [B,H,T,E]; undefined
// without.
at::Tensor GateOf(const TensorMap& weights, const AttentionExtras& extras,
                  const at::Tensor& n_BTD, int64_t heads);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_ATTENTION_EXTRAS_H_

#ifndef SINKWATCH_WORKER_MODEL_MEGATRON_NAMES_H_
#define SINKWATCH_WORKER_MODEL_MEGATRON_NAMES_H_

#include <cstdint>
#include <vector>

#include "worker/model/architecture.h"
#include "worker/model/mixture.h"

// What Megatron-Core's `torch_dist` checkpoints call the tensors of a decoder
// of attention and SwiGLU (megatron/core/models/gpt, its sharded state dict):
//
//   embedding.word_embeddings.weight, decoder.final_layernorm.weight,
//   output_layer.weight
//   decoder.layers.self_attention.linear_qkv.{weight, bias, layer_norm_weight}
//   decoder.layers.self_attention.{linear_proj.weight, q_layernorm.weight,
//                                  k_layernorm.weight}
//   decoder.layers.mlp.linear_fc1.{weight, layer_norm_weight},
//   linear_fc2.weight
//   decoder.layers.mlp.{router.weight, experts.experts.linear_fc1.weight,
//                       experts.experts.linear_fc2.weight},
//   decoder.layers.pre_mlp_layernorm.weight
//
// All layers are one tensor, stacked in front ([L, ...], of experts
// [L, X, ...]); or, where layers differ, each is one of its own,
// decoder.layers.N, and its experts are a stack ([X, ...]). With
// singleton_local_shards nothing is stacked: experts are experts.experts.I, and
// linear_fc1 is two tensors, weight_w and weight_v. Rows of linear_qkv come by
// group of heads: its queries, its key, its value; those of linear_fc1 are the
// gate's and then the up projection's. The norms before attention and MLP are
// parts of the matrices behind them, but for that before a mixture.
namespace sinkwatch::model {

// Adds these names to those of the specs, by their short names, that have one:
// self_attn.{q,k,v,o}_proj.{weight,bias}, self_attn.{q,k}_norm.weight,
// mlp.{gate,up,down}_proj.weight, input_layernorm.weight,
// post_attention_layernorm.weight.
void AddMegatronNames(int layer, const ModelShape& shape, int64_t feed_forward,
                      std::vector<TensorSpec>& specs);

// The same for a layer's mixture: mlp.gate.weight, mlp.experts.I.{gate,up,
// down}_proj.weight, and the norm before it.
void AddMegatronMixtureNames(int layer, const ModelShape& shape,
                             const SwiGluMixture& mixture,
                             std::vector<TensorSpec>& specs);

// The same for latent attention (linear_q_proj or linear_q_down_proj and
// linear_q_up_proj, linear_kv_down_proj, linear_kv_up_proj, of which the second
// ones have the norms), a dense MLP of `feed_forward`, and of a mixture the
// shared experts, together `shared` wide, and the router's bias.
void AddMegatronMlaNames(int layer, const ModelShape& shape,
                         int64_t feed_forward, int64_t shared,
                         std::vector<TensorSpec>& specs);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_MEGATRON_NAMES_H_

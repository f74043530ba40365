// Mixtral, as Hugging Face's MixtralForCausalLM: Mistral with a mixture of
// SwiGLU experts in each layer, whose weights add up to 1. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeMixtral(files::Fields& config) {
  LlamaDefaults defaults;
  defaults.rope.theta = 1e6;
  defaults.epsilon = 1e-5;
  defaults.shape.default_kv_heads = 8;
  LlamaFamily mixtral = ReadLlamaFamily(config, "MixtralForCausalLM", defaults);
  const int64_t window = ReadWindow(config, 0);
  for (AttentionShape& layer : mixtral.shape.attention) layer.window = window;
  mixtral.mixture.counts = ReadExpertCounts(config);
  mixtral.mixture.feed_forward = mixtral.feed_forward;
  mixtral.mixture.renormalised = true;
  mixtral.mixture.names = {"block_sparse_moe.gate", "block_sparse_moe.experts.",
                           "w1", "w3", "w2"};
  mixtral.mixed.assign(mixtral.shape.layers, true);
  return MakeLlamaFamily(std::move(mixtral));
}

}  // namespace sinkwatch::model

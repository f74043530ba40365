// Qwen3-MoE, as Hugging Face's Qwen3MoeForCausalLM: Qwen3 with a mixture of
// SwiGLU experts in the layers that the config chooses, and one window for all
// layers or none. The block is in llama_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeQwen3Moe(files::Fields& config) {
  LlamaDefaults defaults;
  defaults.shape.default_kv_heads = 4;
  LlamaFamily qwen = ReadLlamaFamily(config, "Qwen3MoeForCausalLM", defaults);
  qwen.head_norms = true;
  qwen.qkv_bias = config.BoolOr("attention_bias", false);
  qwen.output_bias = qwen.qkv_bias;
  const int64_t window = ReadWindow(config, 4096);
  if (config.BoolOr("use_sliding_window", false)) {
    for (AttentionShape& layer : qwen.shape.attention) layer.window = window;
  }
  qwen.mixture.counts = ReadExpertCounts(config);
  qwen.mixture.of_torchtitan = true;
  qwen.mixture.has_selection_bias = true;
  qwen.mixture.feed_forward =
      ReadFeedForwardWidth(config, "moe_intermediate_size", 768);
  qwen.mixture.renormalised = config.BoolOr("norm_topk_prob", false);
  qwen.mixed = ReadMixedLayers(config, qwen.shape.layers);
  return MakeLlamaFamily(std::move(qwen));
}

}  // namespace sinkwatch::model

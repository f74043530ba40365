// Qwen3, as Hugging Face's Qwen3ForCausalLM: Llama with an RMSNorm over each
// head's queries and keys; later layers may slide. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeQwen3(files::Fields& config) {
  LlamaDefaults defaults;
  defaults.shape.default_kv_heads = 32;
  defaults.shape.default_head_dim = 128;
  LlamaFamily qwen = ReadLlamaFamily(config, "Qwen3ForCausalLM", defaults);
  qwen.head_norms = true;
  qwen.qkv_bias = config.BoolOr("attention_bias", false);
  qwen.output_bias = qwen.qkv_bias;
  qwen.extras = ReadAttentionExtras(config, qwen.qkv_bias);
  ReadQwenWindows(config, qwen.shape);
  return MakeLlamaFamily(std::move(qwen));
}

}  // namespace sinkwatch::model

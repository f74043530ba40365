// Llama, as Hugging Face's LlamaForCausalLM: RMSNorm before each sub-layer,
// rotary positions, grouped key/value heads, SwiGLU. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeLlama(files::Fields& config) {
  LlamaFamily llama = ReadLlamaFamily(config, "LlamaForCausalLM");
  llama.qkv_bias = config.BoolOr("attention_bias", false);
  llama.output_bias = llama.qkv_bias;
  llama.extras = ReadAttentionExtras(config, llama.qkv_bias);
  llama.mlp_bias = config.BoolOr("mlp_bias", false);
  return MakeLlamaFamily(std::move(llama));
}

}  // namespace sinkwatch::model

// Llama, as Hugging Face's LlamaForCausalLM: RMSNorm before each sub-layer,
// rotary positions, grouped key/value heads, SwiGLU. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"

namespace sinkwatch::model {

absl::StatusOr<std::unique_ptr<Architecture>> MakeLlama(
    const checkpoint::Config& config) {
  auto llama = ReadLlamaFamily(config, "LlamaForCausalLM");
  if (!llama.ok()) return llama.status();
  const auto attention_bias = config.BoolOr("attention_bias", false);
  if (!attention_bias.ok()) return attention_bias.status();
  llama->qkv_bias = llama->output_bias = *attention_bias;
  const auto mlp_bias = config.BoolOr("mlp_bias", false);
  if (!mlp_bias.ok()) return mlp_bias.status();
  llama->mlp_bias = *mlp_bias;
  return MakeLlamaFamily(*std::move(llama));
}

}  // namespace sinkwatch::model

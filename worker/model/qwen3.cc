// Qwen3, as Hugging Face's Qwen3ForCausalLM: Llama with an RMSNorm over each
// head's queries and keys; later layers may slide. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

absl::StatusOr<std::unique_ptr<Architecture>> MakeQwen3(
    const checkpoint::Config& config) {
  auto qwen = ReadLlamaFamily(config, "Qwen3ForCausalLM");
  if (!qwen.ok()) return qwen.status();
  qwen->head_norms = true;
  const auto bias = config.BoolOr("attention_bias", false);
  if (!bias.ok()) return bias.status();
  qwen->qkv_bias = qwen->output_bias = *bias;
  absl::Status windows = ReadQwenWindows(config, qwen->shape);
  if (!windows.ok()) return windows;
  return MakeLlamaFamily(*std::move(qwen));
}

}  // namespace sinkwatch::model

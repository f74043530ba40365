// Qwen2 and 2.5, as Hugging Face's Qwen2ForCausalLM: Llama with biases on
// queries, keys and values; later layers may slide. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

absl::StatusOr<std::unique_ptr<Architecture>> MakeQwen2(
    const checkpoint::Config& config) {
  auto qwen = ReadLlamaFamily(config, "Qwen2ForCausalLM");
  if (!qwen.ok()) return qwen.status();
  qwen->qkv_bias = true;
  absl::Status windows = ReadQwenWindows(config, qwen->shape);
  if (!windows.ok()) return windows;
  return MakeLlamaFamily(*std::move(qwen));
}

}  // namespace sinkwatch::model

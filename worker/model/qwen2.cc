// Qwen2 and 2.5, as Hugging Face's Qwen2ForCausalLM: Llama with biases on
// queries, keys and values; later layers may slide. The block is in
// llama_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeQwen2(files::Fields& config) {
  LlamaDefaults defaults;
  defaults.shape.default_kv_heads = 32;
  LlamaFamily qwen = ReadLlamaFamily(config, "Qwen2ForCausalLM", defaults);
  qwen.qkv_bias = true;
  ReadQwenWindows(config, qwen.shape);
  return MakeLlamaFamily(std::move(qwen));
}

}  // namespace sinkwatch::model

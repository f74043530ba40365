// Mistral, as Hugging Face's MistralForCausalLM: Llama without biases, and with
// one sliding window for all layers. The block is in llama_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeMistral(files::Fields& config) {
  LlamaDefaults defaults;
  defaults.shape.default_kv_heads = 8;
  LlamaFamily mistral = ReadLlamaFamily(config, "MistralForCausalLM", defaults);
  // Hugging Face's default where the key is absent; null is no window.
  const int64_t window = ReadWindow(config, 4096);
  ReadLayerTypes(
      config, window, [&](int) { return window > 0; }, mistral.shape);
  return MakeLlamaFamily(std::move(mistral));
}

}  // namespace sinkwatch::model

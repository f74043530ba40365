// Mistral, as Hugging Face's MistralForCausalLM: Llama without biases, and with
// one sliding window for all layers. Ministral, as MinistralForCausalLM: the
// same, with the window on the layers that layer_types calls sliding. The block
// is in llama_family.cc.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

LlamaFamily ReadWithoutWindows(files::Fields& config,
                               const std::string& architecture) {
  LlamaDefaults defaults;
  defaults.shape.default_kv_heads = 8;
  return ReadLlamaFamily(config, architecture, defaults);
}

// Hugging Face's class has one window for all layers whatever layer_types says,
// and other programs do not.
void RequireOneKind(files::Fields& config, bool slides) {
  if (!config.Has("layer_types")) return;
  const char* const kind = slides ? "sliding_attention" : "full_attention";
  for (const nlohmann::json& type : config.Array("layer_types")) {
    if (type != kind) {
      config.Unsupported(
          absl::StrCat("layer_types ", type.dump(), " in MistralForCausalLM"));
    }
  }
}

}  // namespace

std::unique_ptr<Architecture> MakeMistral(files::Fields& config) {
  LlamaFamily mistral = ReadWithoutWindows(config, "MistralForCausalLM");
  // Hugging Face's default where the key is absent; null is no window.
  const int64_t window = ReadWindow(config, 4096);
  for (AttentionShape& layer : mistral.shape.attention) layer.window = window;
  RequireOneKind(config, window > 0);
  return MakeLlamaFamily(std::move(mistral));
}

std::unique_ptr<Architecture> MakeMinistral(files::Fields& config) {
  LlamaFamily ministral = ReadWithoutWindows(config, "MinistralForCausalLM");
  const int64_t window = ReadWindow(config, 4096);
  ReadLayerTypes(
      config, window, [&](int) { return window > 0; }, ministral.shape);
  return MakeLlamaFamily(std::move(ministral));
}

}  // namespace sinkwatch::model

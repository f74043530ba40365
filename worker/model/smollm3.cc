// SmolLM3, as Hugging Face's SmolLM3ForCausalLM: Llama, tied, with every fourth
// layer without rotary positions (NoPE, arXiv 2501.18795). The block is in
// llama_family.cc.
#include <memory>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

// no_rope_layers has a 0 for a layer without positions, in spite of its name.
std::vector<bool> UnrotatedLayers(files::Fields& config, int layers) {
  const int64_t interval = config.IntOr("no_rope_layer_interval", 1, 1024, 4);
  std::vector<bool> unrotated(layers);
  for (int layer = 0; layer < layers; ++layer) {
    unrotated[layer] = (layer + 1) % interval == 0;
  }
  if (!config.Has("no_rope_layers")) return unrotated;
  const nlohmann::json& listed = config.Array("no_rope_layers");
  if (static_cast<int>(listed.size()) != layers) {
    config.Fail("no_rope_layers", "must have an entry for each layer");
    return unrotated;
  }
  for (int layer = 0; layer < layers; ++layer) {
    const nlohmann::json& rotated = listed.at(layer);
    if (rotated != 0 && rotated != 1) {
      config.Fail("no_rope_layers", "must hold 0 and 1");
    }
    unrotated[layer] = rotated == 0;
  }
  return unrotated;
}

}  // namespace

std::unique_ptr<Architecture> MakeSmolLm3(files::Fields& config) {
  LlamaDefaults defaults;
  defaults.rope.theta = 2e6;
  defaults.shape.default_kv_heads = 4;
  LlamaFamily smol = ReadLlamaFamily(config, "SmolLM3ForCausalLM", defaults);
  smol.tied = config.BoolOr("tie_word_embeddings", true);
  smol.qkv_bias = config.BoolOr("attention_bias", false);
  smol.output_bias = smol.qkv_bias;
  smol.mlp_bias = config.BoolOr("mlp_bias", false);
  smol.unrotated = UnrotatedLayers(config, smol.shape.layers);
  const bool slides = config.BoolOr("use_sliding_window", false);
  const int64_t window = slides ? ReadWindow(config, 0) : 0;
  // Where no list says otherwise, the layers without positions slide.
  ReadLayerTypes(
      config, window,
      [&](int layer) { return window > 0 && smol.unrotated[layer]; },
      smol.shape);
  return MakeLlamaFamily(std::move(smol));
}

}  // namespace sinkwatch::model

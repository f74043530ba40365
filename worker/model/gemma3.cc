// Gemma 3's text model, as Hugging Face's Gemma3ForCausalLM: Gemma 2 with
// RMSNorms of queries and keys instead of soft caps, five sliding layers to a
// full one, and a rotary base for each of the two kinds. The block is in
// gemma_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/gemma_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

// Older configs have the sliding layers' base under a key of its own, and no
// scaling for them.
Rope ReadSlidingRope(files::Fields& config, const ModelShape& shape) {
  RopeFamily family;
  family.by_layer_type = true;
  family.theta = 10000;
  family.theta_key = "rope_local_base_freq";
  return ReadRope(config, shape, "sliding_attention", family);
}

}  // namespace

std::unique_ptr<Architecture> MakeGemma3(files::Fields& config) {
  GemmaFamily gemma = ReadGemmaFamily(config, "Gemma3ForCausalLM");
  const int64_t pattern = config.IntOr("sliding_window_pattern", 1, 1024, 6);
  ReadLayerTypes(
      config, ReadWindow(config, 4096),
      [&](int layer) { return (layer + 1) % pattern != 0; }, gemma.shape);
  gemma.head_norms = true;
  gemma.final_soft_cap = ReadSoftCap(config, "final_logit_softcapping", 0);
  // attn_logit_softcapping is a key of the config that its attention ignores.
  RopeFamily family;
  family.by_layer_type = true;
  family.theta = 1e6;
  const Rope full = ReadRope(config, gemma.shape, "full_attention", family);
  const Rope sliding = ReadSlidingRope(config, gemma.shape);
  for (const AttentionShape& layer : gemma.shape.attention) {
    gemma.ropes.push_back(layer.window > 0 ? sliding : full);
  }
  return MakeGemmaFamily(std::move(gemma));
}

}  // namespace sinkwatch::model

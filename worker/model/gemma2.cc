// Gemma 2, as Hugging Face's Gemma2ForCausalLM: RMSNorm before and after each
// sub-layer, sliding and full layers in turn, soft caps of the attention's and
// of the model's logits, a GELU gate. The block is in gemma_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/gemma_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeGemma2(files::Fields& config) {
  GemmaFamily gemma = ReadGemmaFamily(config, "Gemma2ForCausalLM");
  ReadLayerTypes(
      config, ReadWindow(config, 4096),
      [](int layer) { return layer % 2 == 0; }, gemma.shape);
  const double cap = ReadSoftCap(config, "attn_logit_softcapping", 50);
  for (AttentionShape& layer : gemma.shape.attention) layer.soft_cap = cap;
  gemma.final_soft_cap = ReadSoftCap(config, "final_logit_softcapping", 30);
  const Rope rope = ReadRope(config, gemma.shape, "full_attention");
  gemma.ropes.assign(gemma.shape.layers, rope);
  return MakeGemmaFamily(std::move(gemma));
}

}  // namespace sinkwatch::model

// Qwen3-Next, as Hugging Face's Qwen3NextForCausalLM: mixtures in the layers
// that the config chooses. The blocks are in qwen3_next_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/qwen3_next_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeQwen3Next(files::Fields& config) {
  Qwen3NextFamily qwen = ReadQwen3NextFamily(config, "Qwen3NextForCausalLM", 2);
  qwen.feed_forward = ReadFeedForwardWidth(config);
  ReadQwen3NextMixture(config, qwen);
  qwen.mixture.renormalised = config.BoolOr("norm_topk_prob", true);
  qwen.mixed = ReadMixedLayers(config, qwen.shape.layers);
  return MakeQwen3NextFamily(std::move(qwen));
}

}  // namespace sinkwatch::model

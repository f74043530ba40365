// Qwen3.5's text model with experts, as Hugging Face's Qwen3_5MoeForCausalLM:
// Qwen 3.5 with a mixture in each layer, whose chosen experts' weights add up
// to 1. The blocks are in qwen3_next_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/qwen3_next_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeQwen35Moe(files::Fields& config) {
  Qwen3NextFamily qwen =
      ReadQwen3NextFamily(config, "Qwen3_5MoeForCausalLM", 2);
  ReadQwen3NextMixture(config, qwen);
  qwen.mixture.renormalised = true;
  qwen.mixed.assign(qwen.shape.layers, true);
  qwen.split_projections = true;
  return MakeQwen3NextFamily(std::move(qwen));
}

}  // namespace sinkwatch::model

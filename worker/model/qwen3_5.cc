// Qwen3.5's dense text model, as Hugging Face's Qwen3_5ForCausalLM: Qwen3-Next
// without experts, with other projections of the delta networks. Its rotary
// positions are of three axes, which are one for text. The blocks are in
// qwen3_next_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/qwen3_next_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeQwen35(files::Fields& config) {
  Qwen3NextFamily qwen = ReadQwen3NextFamily(config, "Qwen3_5ForCausalLM", 4);
  qwen.feed_forward = ReadFeedForwardWidth(config);
  qwen.split_projections = true;
  return MakeQwen3NextFamily(std::move(qwen));
}

}  // namespace sinkwatch::model

// OLMo 2, as Hugging Face's Olmo2ForCausalLM: RMSNorm after each sub-layer and
// none before it, RMSNorm of queries and keys over all heads together, rotary
// positions, SwiGLU. The block is in olmo2_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/olmo2_family.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeOlmo2(files::Fields& config) {
  Olmo2Family olmo = ReadOlmo2Family(config, "Olmo2ForCausalLM");
  olmo.ropes.assign(olmo.shape.layers,
                    ReadRope(config, olmo.shape, "full_attention"));
  return MakeOlmo2Family(std::move(olmo));
}

}  // namespace sinkwatch::model

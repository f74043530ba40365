// OLMo 2, as Hugging Face's Olmo2ForCausalLM: RMSNorm after each sub-layer and
// none before it, RMSNorm of queries and keys over all heads together, rotary
// positions, SwiGLU. The block is in olmo2_family.cc.
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/model/architectures.h"
#include "worker/model/olmo2_family.h"

namespace sinkwatch::model {

absl::StatusOr<std::unique_ptr<Architecture>> MakeOlmo2(
    const checkpoint::Config& config) {
  auto olmo = ReadOlmo2Family(config, "Olmo2ForCausalLM");
  if (!olmo.ok()) return olmo.status();
  const auto rope = ReadRope(config, olmo->shape, "full_attention");
  if (!rope.ok()) return rope.status();
  olmo->ropes.assign(olmo->shape.layers, *rope);
  return MakeOlmo2Family(*std::move(olmo));
}

}  // namespace sinkwatch::model

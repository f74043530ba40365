// OLMo 3, as Hugging Face's Olmo3ForCausalLM: OLMo 2 with sliding windows in
// three layers of four; what scales the rotary positions (YaRN) scales those of
// the full layers only. The block is in olmo2_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/olmo2_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeOlmo3(files::Fields& config) {
  Olmo2Family olmo = ReadOlmo2Family(config, "Olmo3ForCausalLM");
  ReadLayerTypes(
      config, ReadWindow(config, 4096),
      [](int layer) { return (layer + 1) % 4 != 0; }, olmo.shape);
  RopeFamily family;
  family.theta = 500000;
  family.by_layer_type = true;
  family.outer_theta_is_for_full_layers = true;
  const Rope full = ReadRope(config, olmo.shape, "full_attention", family);
  const Rope sliding =
      ReadRope(config, olmo.shape, "sliding_attention", family);
  for (const AttentionShape& layer : olmo.shape.attention) {
    olmo.ropes.push_back(layer.window > 0 ? sliding : full);
  }
  return MakeOlmo2Family(std::move(olmo));
}

}  // namespace sinkwatch::model

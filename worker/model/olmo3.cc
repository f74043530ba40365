// OLMo 3, as Hugging Face's Olmo3ForCausalLM: OLMo 2 with sliding windows in
// three layers of four; what scales the rotary positions (YaRN) scales those of
// the full layers only. The block is in olmo2_family.cc.
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/model/architectures.h"
#include "worker/model/olmo2_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

absl::StatusOr<std::unique_ptr<Architecture>> MakeOlmo3(
    const checkpoint::Config& config) {
  auto olmo = ReadOlmo2Family(config, "Olmo3ForCausalLM");
  if (!olmo.ok()) return olmo.status();
  const auto window = ReadWindow(config, 4096);
  if (!window.ok()) return window.status();
  absl::Status windows = ReadLayerTypes(
      config, *window, [](int layer) { return (layer + 1) % 4 != 0; },
      olmo->shape);
  if (!windows.ok()) return windows;

  RopeFamily family;
  family.theta = 500000;
  family.scales_full_layers_only = true;
  const auto full = ReadRope(config, olmo->shape, "full_attention", family);
  if (!full.ok()) return full.status();
  const auto sliding =
      ReadRope(config, olmo->shape, "sliding_attention", family);
  if (!sliding.ok()) return sliding.status();
  for (const AttentionShape& layer : olmo->shape.attention) {
    olmo->ropes.push_back(layer.window > 0 ? *sliding : *full);
  }
  return MakeOlmo2Family(*std::move(olmo));
}

}  // namespace sinkwatch::model

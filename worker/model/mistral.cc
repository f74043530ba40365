// Mistral, as Hugging Face's MistralForCausalLM: Llama without biases, and with
// one sliding window for all layers. The block is in llama_family.cc.
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "worker/model/architectures.h"
#include "worker/model/llama_family.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

absl::StatusOr<std::unique_ptr<Architecture>> MakeMistral(
    const checkpoint::Config& config) {
  auto mistral = ReadLlamaFamily(config, "MistralForCausalLM");
  if (!mistral.ok()) return mistral.status();
  // Hugging Face's default where the key is absent; null is no window.
  const auto window = ReadWindow(config, 4096);
  if (!window.ok()) return window.status();
  absl::Status layers = ReadLayerTypes(
      config, *window, [&](int) { return *window > 0; }, mistral->shape);
  if (!layers.ok()) return layers;
  return MakeLlamaFamily(*std::move(mistral));
}

}  // namespace sinkwatch::model

#include "worker/model/mixture.h"

#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/topk.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/model/layers.h"
#include "worker/model/naming.h"

namespace sinkwatch::model {
namespace {

// Layers that a list of the config keeps dense, mlp_only_layers.
std::vector<bool> DenseLayers(files::Fields& config, int layers) {
  std::vector<bool> dense(layers, false);
  if (!config.Has("mlp_only_layers")) return dense;
  for (const nlohmann::json& layer : config.Array("mlp_only_layers")) {
    if (!layer.is_number_unsigned()) {
      config.Fail("mlp_only_layers", "must be a list of layers");
      break;
    }
    const auto index = layer.get<uint64_t>();
    if (index < dense.size()) dense[index] = true;
  }
  return dense;
}

}  // namespace

std::vector<bool> ReadMixedLayers(files::Fields& config, int layers) {
  const int64_t step = config.IntOr("decoder_sparse_step", 1, 1024, 1);
  std::vector<bool> mixed = DenseLayers(config, layers);
  for (int layer = 0; layer < layers; ++layer) {
    mixed[layer] = !mixed[layer] && (layer + 1) % step == 0;
  }
  return mixed;
}

namespace {

// The stacks of a layer's experts, and of its router, in torchtitan's schemes;
// `ours` is gate_proj, up_proj or down_proj of expert `index`.
void AddTorchtitanExpert(int layer, const std::string& ours, int64_t index,
                         int64_t experts, TensorSpec& spec) {
  const bool down = ours == "down_proj";
  const char* const part = ours == "gate_proj" ? "w1" : down ? "w2" : "w3";
  for (const std::string& name :
       {absl::StrCat("moe.routed_experts.inner_experts.", part,
                     down ? "_EDF" : "_EFD"),
        absl::StrCat("moe.experts.", part)}) {
    TensorSource stack;
    stack.name = absl::StrCat("layers.", layer, ".", name);
    stack.shape = {experts, spec.shape[0], spec.shape[1]};
    stack.slab = {index};
    spec.sources.push_back(std::move(stack));
  }
}

TensorSpec SelectionBias(int layer, int64_t experts) {
  const std::string prefix = absl::StrCat("layers.", layer, ".moe.");
  TensorSpec bias("mlp.gate.selection_bias", prefix + "expert_bias", {experts});
  AddName(prefix + "expert_bias_E", bias);
  bias.constant = 0.0;
  return bias;
}

}  // namespace

std::vector<TensorSpec> ExpertTensors(int layer, int64_t width,
                                      const SwiGluMixture& mixture) {
  const int64_t wide = mixture.feed_forward;
  const MixtureNames& names = mixture.names;
  std::vector<TensorSpec> specs;
  const auto add = [&](int64_t index, const std::string& ours,
                       const char* stored, std::vector<int64_t> shape) {
    specs.emplace_back(
        absl::StrCat("mlp.experts.", index, ".", ours, ".weight"),
        absl::StrCat("model.layers.", layer, ".", names.expert, index, ".",
                     stored, ".weight"),
        std::move(shape));
    AddStackedExpert(layer, "mlp.experts.", ours, index, mixture.counts.experts,
                     specs.back());
    if (mixture.of_torchtitan) {
      AddTorchtitanExpert(layer, ours, index, mixture.counts.experts,
                          specs.back());
    }
  };
  for (int64_t index = 0; index < mixture.counts.experts; ++index) {
    add(index, "gate_proj", names.gate, {wide, width});
    add(index, "up_proj", names.up, {wide, width});
    add(index, "down_proj", names.down, {width, wide});
  }
  return specs;
}

std::vector<TensorSpec> MixtureTensors(int layer, int64_t width,
                                       const SwiGluMixture& mixture) {
  std::vector<TensorSpec> specs = ExpertTensors(layer, width, mixture);
  const std::string prefix = absl::StrCat("model.layers.", layer, ".");
  specs.emplace_back("mlp.gate.weight",
                     absl::StrCat(prefix, mixture.names.router, ".weight"),
                     std::vector<int64_t>{mixture.counts.experts, width});
  // Beside stacks of experts under its own name.
  const std::string today = prefix + "mlp.gate.weight";
  if (specs.back().checkpoint_name() != today) AddName(today, specs.back());
  if (!mixture.of_torchtitan) return specs;
  AddName(absl::StrCat("layers.", layer, ".moe.router.gate.weight"),
          specs.back());
  if (mixture.has_selection_bias) {
    specs.push_back(SelectionBias(layer, mixture.counts.experts));
  }
  return specs;
}

Routing RouteBySoftmax(const at::Tensor& logits_NX,
                       const SwiGluMixture& mixture, const at::Tensor& bias_X) {
  const at::Tensor score_NX = at::softmax(logits_NX, -1, at::kFloat);
  auto [weight_NK, expert_NK] =
      at::topk(bias_X.defined() ? score_NX + bias_X : score_NX,
               mixture.counts.chosen, -1);
  if (bias_X.defined()) weight_NK = score_NX.gather(-1, expert_NK);
  if (mixture.renormalised) {
    weight_NK = weight_NK / weight_NK.sum(-1, /*keepdim=*/true);
  }
  return {expert_NK, weight_NK.to(logits_NX.scalar_type()), score_NX};
}

at::Tensor MixSwiGlu(const TensorMap& weights, const SwiGluMixture& mixture,
                     const Routing& routing, const at::Tensor& n_ND) {
  return MixExperts(
      n_ND, routing, mixture.counts.experts,
      [&](int64_t index, const at::Tensor& x_RD) {
        return SwiGlu(weights, absl::StrCat("mlp.experts.", index, "."), x_RD);
      });
}

at::Tensor MixSwiGlu(int layer, const TensorMap& weights,
                     const SwiGluMixture& mixture, const at::Tensor& n_BTD,
                     Recorder& recorder) {
  const at::Tensor n_ND = n_BTD.flatten(0, 1);
  const at::Tensor bias_X = mixture.has_selection_bias
                                ? weights.at("mlp.gate.selection_bias")
                                : at::Tensor();
  const Routing routing = RouteBySoftmax(
      Linear(n_ND, weights.at("mlp.gate.weight")), mixture, bias_X);
  RecordRouting(layer, routing, n_BTD, recorder);
  return MixSwiGlu(weights, mixture, routing, n_ND).view_as(n_BTD);
}

}  // namespace sinkwatch::model

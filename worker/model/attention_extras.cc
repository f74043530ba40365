#include "worker/model/attention_extras.h"

#include <string>

#include "ATen/ops/sigmoid.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"

namespace sinkwatch::model {

AttentionExtras ReadAttentionExtras(files::Fields& config, bool bias) {
  AttentionExtras extras;
  extras.learned_sinks = config.BoolOr("attention_sinks", false);
  extras.gate_bias = bias;
  const std::string gate = config.StringOr("attention_gate", "none");
  if (gate == "headwise") {
    extras.gate = GateKind::kByHead;
  } else if (gate == "elementwise") {
    extras.gate = GateKind::kByElement;
  } else if (gate != "none") {
    config.Unsupported(absl::StrCat("attention_gate ", files::Quoted(gate)));
  }
  return extras;
}

std::vector<TensorSpec> ExtraTensors(int layer, const ModelShape& shape,
                                     const AttentionExtras& extras) {
  std::vector<TensorSpec> specs;
  if (extras.learned_sinks) {
    specs.push_back(LayerTensor(layer, "self_attn.sinks", "attention.sinks",
                                {shape.heads}));
  }
  if (extras.gate == GateKind::kNone) return specs;
  const int64_t rows = extras.gate == GateKind::kByHead
                           ? int64_t{shape.heads}
                           : int64_t{shape.heads} * shape.head_dim;
  specs.push_back(LayerTensor(layer, "self_attn.gate.weight",
                              "attention.w_g.weight", {rows, shape.width}));
  if (extras.gate_bias) {
    specs.push_back(LayerTensor(layer, "self_attn.gate.bias",
                                "attention.w_g.bias", {rows}));
  }
  return specs;
}

at::Tensor SinksOf(const TensorMap& weights, const AttentionExtras& extras) {
  return extras.learned_sinks ? weights.at("self_attn.sinks") : at::Tensor();
}

at::Tensor GateOf(const TensorMap& weights, const AttentionExtras& extras,
                  const at::Tensor& n_BTD, int64_t heads) {
  if (extras.gate == GateKind::kNone) return {};
  return at::sigmoid(ProjectHeads(weights, "self_attn.gate", n_BTD, heads)
                         .to(at::kFloat))
      .to(n_BTD.scalar_type());
}

}  // namespace sinkwatch::model

// The toy model of arXiv 2410.13835: learned positions, affine LayerNorm before
// each sub-layer, ReLU MLP, no biases in linear layers, untied head; attention
// or MLP can be left out layer by layer, and attention can be ReLU instead of
// softmax. B sequences, T tokens, D width, H heads, E head width, F
// feed-forward width, V vocabulary.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/embedding.h"
#include "ATen/ops/relu.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

// Keys beside those of ReadShape: intermediate_size, layer_norm_eps,
// attention_kind ("softmax" or "relu"), layer_attention and layer_mlp (a list
// of booleans each, one per layer; absent: all true).
struct BigramBackcopyConfig {
  ModelShape shape;
  int64_t feed_forward = 0;
  double norm_epsilon = 0;
  std::vector<bool> layer_mlp;
};

std::vector<bool> ReadSwitches(files::Fields& config, const char* key,
                               int layers) {
  std::vector<bool> switches(layers, true);
  if (!config.Has(key)) return switches;
  const nlohmann::json& list = config.json().at(key);
  if (!list.is_array() || list.size() != switches.size()) {
    config.Contradiction(
        absl::StrCat(key, " must be a list of ", layers, " booleans"));
    return switches;
  }
  for (int layer = 0; layer < layers; ++layer) {
    if (!list[layer].is_boolean()) {
      config.Contradiction(absl::StrCat(key, "[", layer, "] is no boolean"));
    }
    switches[layer] = list[layer] == true;
  }
  return switches;
}

void ReadAttention(files::Fields& config, ModelShape& shape) {
  const std::string kind = config.StringOr("attention_kind", "softmax");
  if (kind != "softmax" && kind != "relu") {
    config.Unsupported(absl::StrCat("attention_kind ", files::Quoted(kind),
                                    " (softmax and relu are)"));
  }
  const std::vector<bool> present =
      ReadSwitches(config, "layer_attention", shape.layers);
  for (int layer = 0; layer < shape.layers; ++layer) {
    shape.attention[layer].kind = !present[layer]  ? AttentionKind::kNone
                                  : kind == "relu" ? AttentionKind::kRelu
                                                   : AttentionKind::kSoftmax;
  }
}

BigramBackcopyConfig ReadConfig(files::Fields& config) {
  BigramBackcopyConfig toy;
  toy.shape = ReadShape(config, "BigramBackcopyForCausalLM");
  if (toy.shape.max_positions == 0) {
    config.Contradiction("max_position_embeddings is missing");
  }
  if (toy.shape.kv_heads != toy.shape.heads) {
    config.Unsupported("num_key_value_heads other than num_attention_heads");
  }
  ReadAttention(config, toy.shape);
  toy.layer_mlp = ReadSwitches(config, "layer_mlp", toy.shape.layers);
  toy.feed_forward = ReadFeedForwardWidth(config);
  toy.norm_epsilon = config.PositiveOr("layer_norm_eps", 1e-5);
  return toy;
}

class BigramBackcopy final : public Architecture {
 public:
  explicit BigramBackcopy(BigramBackcopyConfig config)
      : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {{"embed_tokens", "model.embed_tokens.weight",
             config_.shape.EmbeddingShape()},
            {"embed_positions",
             "model.embed_positions.weight",
             {config_.shape.max_positions, config_.shape.width}}};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const int64_t inner = config_.shape.heads * config_.shape.head_dim;
    PrefixedTensors tensors(absl::StrCat("model.layers.", layer, "."));
    if (HasAttention(layer)) {
      tensors.AddNorm("attention_norm", width);
      for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
        tensors.AddLinear(absl::StrCat("attention.", name), inner, width,
                          false);
      }
      tensors.AddLinear("attention.o_proj", width, inner, false);
    }
    if (config_.layer_mlp[layer]) {
      tensors.AddNorm("mlp_norm", width);
      tensors.AddLinear("mlp.up_proj", wide, width, false);
      tensors.AddLinear("mlp.down_proj", width, wide, false);
    }
    return tensors.Take();
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {{"norm.weight", "model.norm.weight", {config_.shape.width}},
            {"norm.bias", "model.norm.bias", {config_.shape.width}},
            {"lm_head", "lm_head.weight", config_.shape.EmbeddingShape()}};
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT) +
           weights.at("embed_positions").slice(0, 0, tokens_BT.size(1));
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const at::Tensor mid_BTD =
        HasAttention(layer)
            ? AddRecorded(layer, x_BTD,
                          Attention(layer, weights, x_BTD, recorder),
                          Point::kResidMid, recorder)
            : Unchanged(layer, x_BTD, Point::kResidMid, recorder);
    return config_.layer_mlp[layer]
               ? AddRecorded(layer, mid_BTD, Mlp(weights, mid_BTD),
                             Point::kResidPost, recorder)
               : Unchanged(layer, mid_BTD, Point::kResidPost, recorder);
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    return Linear(Norm(x_BTD, weights, "norm"), weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int layer,
                              const TensorMap& weights) const override {
    return HasAttention(layer) ? weights.at("attention.o_proj.weight")
                               : at::Tensor();
  }

 private:
  // The stream where the layer has no sub-layer.
  static at::Tensor Unchanged(int layer, const at::Tensor& x_BTD, Point after,
                              Recorder& recorder) {
    recorder.Record(after, layer, x_BTD);
    return x_BTD;
  }

  bool HasAttention(int layer) const {
    return config_.shape.attention[layer].kind != AttentionKind::kNone;
  }

  at::Tensor Norm(const at::Tensor& x, const TensorMap& weights,
                  const std::string& name) const {
    return LayerNorm(weights, name, x, config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const int heads = config_.shape.heads;
    const at::Tensor n_BTD = Norm(x_BTD, weights, "attention_norm");
    const auto project = [&](const char* name) {
      return ProjectHeads(weights, name, n_BTD, heads);
    };
    const at::Tensor z_BHTE = RecordedAttention(
        layer, project("attention.q_proj"), project("attention.k_proj"),
        project("attention.v_proj"), config_.shape.attention[layer], recorder);
    return Project(weights, "attention.o_proj", MergeHeads(z_BHTE));
  }

  at::Tensor Mlp(const TensorMap& weights, const at::Tensor& x_BTD) const {
    const at::Tensor n_BTD = Norm(x_BTD, weights, "mlp_norm");
    return Linear(at::relu(Linear(n_BTD, weights.at("mlp.up_proj.weight"))),
                  weights.at("mlp.down_proj.weight"));
  }

  const BigramBackcopyConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeBigramBackcopy(files::Fields& config) {
  return std::make_unique<BigramBackcopy>(ReadConfig(config));
}

}  // namespace sinkwatch::model

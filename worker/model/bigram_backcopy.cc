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
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/layers.h"
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

absl::StatusOr<std::vector<bool>> ReadSwitches(const checkpoint::Config& config,
                                               const std::string& key,
                                               int layers) {
  std::vector<bool> switches(layers, true);
  if (!config.Has(key)) return switches;
  const nlohmann::json& list = config.json().at(key);
  if (!list.is_array() || list.size() != switches.size()) {
    return config.Contradiction(
        absl::StrCat(key, " must be a list of ", layers, " booleans"));
  }
  for (int layer = 0; layer < layers; ++layer) {
    if (!list[layer].is_boolean()) {
      return config.Contradiction(
          absl::StrCat(key, "[", layer, "] is no boolean"));
    }
    switches[layer] = list[layer].get<bool>();
  }
  return switches;
}

absl::Status ReadAttention(const checkpoint::Config& config,
                           ModelShape& shape) {
  const auto kind = config.StringOr("attention_kind", "softmax");
  if (!kind.ok()) return kind.status();
  if (*kind != "softmax" && *kind != "relu") {
    return config.Unsupported(absl::StrCat(
        "attention_kind ", files::Quoted(*kind), " (softmax and relu are)"));
  }
  const auto present = ReadSwitches(config, "layer_attention", shape.layers);
  if (!present.ok()) return present.status();
  for (int layer = 0; layer < shape.layers; ++layer) {
    shape.attention[layer].kind = !(*present)[layer] ? AttentionKind::kNone
                                  : *kind == "relu"  ? AttentionKind::kRelu
                                                     : AttentionKind::kSoftmax;
  }
  return absl::OkStatus();
}

absl::StatusOr<BigramBackcopyConfig> ReadConfig(
    const checkpoint::Config& config) {
  BigramBackcopyConfig toy;
  auto shape = ReadShape(config, "BigramBackcopyForCausalLM");
  if (!shape.ok()) return shape.status();
  toy.shape = *std::move(shape);
  if (toy.shape.max_positions == 0) {
    return config.Contradiction("max_position_embeddings is missing");
  }
  if (toy.shape.kv_heads != toy.shape.heads) {
    return config.Unsupported(
        "num_key_value_heads other than num_attention_heads");
  }
  absl::Status attention = ReadAttention(config, toy.shape);
  if (!attention.ok()) return attention;
  auto layer_mlp = ReadSwitches(config, "layer_mlp", toy.shape.layers);
  if (!layer_mlp.ok()) return layer_mlp.status();
  toy.layer_mlp = *std::move(layer_mlp);
  const auto feed_forward = ReadFeedForwardWidth(config);
  if (!feed_forward.ok()) return feed_forward.status();
  toy.feed_forward = *feed_forward;
  const auto epsilon = config.PositiveOr("layer_norm_eps", 1e-5);
  if (!epsilon.ok()) return epsilon.status();
  toy.norm_epsilon = *epsilon;
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
    std::vector<TensorSpec> specs;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
      specs.push_back({name, absl::StrCat("model.layers.", layer, ".", name),
                       std::move(shape)});
    };
    if (HasAttention(layer)) {
      add("attention_norm.weight", {width});
      add("attention_norm.bias", {width});
      add("attention.q_proj.weight", {inner, width});
      add("attention.k_proj.weight", {inner, width});
      add("attention.v_proj.weight", {inner, width});
      add("attention.o_proj.weight", {width, inner});
    }
    if (config_.layer_mlp[layer]) {
      add("mlp_norm.weight", {width});
      add("mlp_norm.bias", {width});
      add("mlp.up_proj.weight", {wide, width});
      add("mlp.down_proj.weight", {width, wide});
    }
    return specs;
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
    at::Tensor stream_BTD = x_BTD;
    if (HasAttention(layer)) {
      const at::Tensor attended_BTD =
          Attention(layer, weights, stream_BTD, recorder);
      recorder.Record(Point::kAttnOut, layer, attended_BTD);
      stream_BTD = stream_BTD + attended_BTD;
    }
    recorder.Record(Point::kResidMid, layer, stream_BTD);
    if (config_.layer_mlp[layer]) {
      const at::Tensor mlp_BTD = Mlp(weights, stream_BTD);
      recorder.Record(Point::kMlpOut, layer, mlp_BTD);
      stream_BTD = stream_BTD + mlp_BTD;
    }
    recorder.Record(Point::kResidPost, layer, stream_BTD);
    return stream_BTD;
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
      return SplitHeads(Project(weights, name, n_BTD), heads);
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

absl::StatusOr<std::unique_ptr<Architecture>> MakeBigramBackcopy(
    const checkpoint::Config& config) {
  auto toy = ReadConfig(config);
  if (!toy.ok()) return toy.status();
  return std::make_unique<BigramBackcopy>(*std::move(toy));
}

}  // namespace sinkwatch::model

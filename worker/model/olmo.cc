// OLMo 1, as Hugging Face's OlmoForCausalLM: LayerNorm without weights before
// each sub-layer, rotary positions, clamped projections, SwiGLU, no biases.
// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width, F feed-forward width, V vocabulary.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/clamp.h"
#include "ATen/ops/embedding.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/layers.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

// Not a key of the config: the same in every OLMo 1.
constexpr double kNormEpsilon = 1e-5;

struct OlmoConfig {
  ModelShape shape;
  int64_t feed_forward = 0;
  Rope rope;
  double clip_qkv = 0;  // 0: not clamped
  bool tied = false;
};

absl::StatusOr<OlmoConfig> ReadConfig(const checkpoint::Config& config) {
  OlmoConfig olmo;
  auto shape = ReadShape(config, "OlmoForCausalLM");
  if (!shape.ok()) return shape.status();
  olmo.shape = *std::move(shape);
  const auto feed_forward = ReadFeedForwardWidth(config);
  if (!feed_forward.ok()) return feed_forward.status();
  olmo.feed_forward = *feed_forward;
  auto rope = ReadRope(config, olmo.shape, "full_attention");
  if (!rope.ok()) return rope.status();
  olmo.rope = *std::move(rope);
  if (config.Has("clip_qkv")) {
    const auto clip = config.PositiveOr("clip_qkv", 1.0);
    if (!clip.ok()) return clip.status();
    olmo.clip_qkv = *clip;
  }
  const auto tied = config.BoolOr("tie_word_embeddings", false);
  if (!tied.ok()) return tied.status();
  olmo.tied = *tied;
  absl::Status bias = RequireBool(config, "attention_bias", false);
  if (!bias.ok()) return bias;
  absl::Status activation = RequireString(config, "hidden_act", "silu");
  if (!activation.ok()) return activation;
  return olmo;
}

class Olmo final : public Architecture {
 public:
  explicit Olmo(OlmoConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {{"embed_tokens", "model.embed_tokens.weight", EmbeddingShape()}};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const int64_t query = config_.shape.heads * config_.shape.head_dim;
    const int64_t key = config_.shape.kv_heads * config_.shape.head_dim;
    const auto spec = [layer](const std::string& name,
                              std::vector<int64_t> shape) -> TensorSpec {
      return {name, absl::StrCat("model.layers.", layer, ".", name, ".weight"),
              std::move(shape)};
    };
    return {spec("self_attn.q_proj", {query, width}),
            spec("self_attn.k_proj", {key, width}),
            spec("self_attn.v_proj", {key, width}),
            spec("self_attn.o_proj", {width, query}),
            spec("mlp.gate_proj", {wide, width}),
            spec("mlp.up_proj", {wide, width}),
            spec("mlp.down_proj", {width, wide})};
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {{"lm_head",
             config_.tied ? "model.embed_tokens.weight" : "lm_head.weight",
             EmbeddingShape()}};
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT);
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const at::Tensor attended_BTD = Attention(layer, weights, x_BTD, recorder);
    recorder.Record(Point::kAttnOut, layer, attended_BTD);
    const at::Tensor mid_BTD = x_BTD + attended_BTD;
    recorder.Record(Point::kResidMid, layer, mid_BTD);
    const at::Tensor mlp_BTD = Mlp(weights, mid_BTD);
    recorder.Record(Point::kMlpOut, layer, mlp_BTD);
    const at::Tensor out_BTD = mid_BTD + mlp_BTD;
    recorder.Record(Point::kResidPost, layer, out_BTD);
    return out_BTD;
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    return Linear(Norm(x_BTD), weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj");
  }

 private:
  std::vector<int64_t> EmbeddingShape() const {
    return {config_.shape.vocabulary, config_.shape.width};
  }

  static at::Tensor Norm(const at::Tensor& x) {
    return LayerNorm(x, {}, {}, kNormEpsilon);
  }

  // A projection, clamped before the heads are split and rotated.
  at::Tensor Project(const at::Tensor& x, const at::Tensor& weight,
                     int heads) const {
    at::Tensor y = Linear(x, weight);
    if (config_.clip_qkv > 0) {
      y = at::clamp(y, -config_.clip_qkv, config_.clip_qkv);
    }
    return SplitHeads(y, heads);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const at::Tensor n_BTD = Norm(x_BTD);
    const at::Tensor q_BHTE = RotaryEmbedding(
        Project(n_BTD, weights.at("self_attn.q_proj"), shape.heads),
        config_.rope);
    const at::Tensor k_BGTE = RotaryEmbedding(
        Project(n_BTD, weights.at("self_attn.k_proj"), shape.kv_heads),
        config_.rope);
    const at::Tensor v_BGTE =
        Project(n_BTD, weights.at("self_attn.v_proj"), shape.kv_heads);
    recorder.Record(Point::kQ, layer, q_BHTE);
    recorder.Record(Point::kK, layer, k_BGTE);
    recorder.Record(Point::kV, layer, v_BGTE);
    const at::Tensor z_BHTE =
        CausalAttention(q_BHTE, k_BGTE, v_BGTE, shape.attention[layer]);
    recorder.Record(Point::kZ, layer, z_BHTE);
    return Linear(MergeHeads(z_BHTE), weights.at("self_attn.o_proj"));
  }

  at::Tensor Mlp(const TensorMap& weights, const at::Tensor& x_BTD) const {
    const at::Tensor n_BTD = Norm(x_BTD);
    const at::Tensor gated_BTF =
        Silu(Linear(n_BTD, weights.at("mlp.gate_proj"))) *
        Linear(n_BTD, weights.at("mlp.up_proj"));
    return Linear(gated_BTF, weights.at("mlp.down_proj"));
  }

  const OlmoConfig config_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> MakeOlmo(
    const checkpoint::Config& config) {
  auto olmo = ReadConfig(config);
  if (!olmo.ok()) return olmo.status();
  return std::make_unique<Olmo>(*std::move(olmo));
}

}  // namespace sinkwatch::model

// Llama, as Hugging Face's LlamaForCausalLM: RMSNorm before each sub-layer,
// rotary positions, grouped key/value heads, SwiGLU. B sequences, T tokens,
// D width, H query heads, G key/value heads, E head width, F feed-forward
// width, V vocabulary.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
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

struct LlamaConfig {
  ModelShape shape;
  int64_t feed_forward = 0;
  double norm_epsilon = 0;
  Rope rope;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tied = false;
};

absl::StatusOr<LlamaConfig> ReadConfig(const checkpoint::Config& config) {
  LlamaConfig llama;
  auto shape = ReadShape(config, "LlamaForCausalLM");
  if (!shape.ok()) return shape.status();
  llama.shape = *std::move(shape);
  const auto feed_forward = ReadFeedForwardWidth(config);
  if (!feed_forward.ok()) return feed_forward.status();
  llama.feed_forward = *feed_forward;
  const auto epsilon = config.PositiveOr("rms_norm_eps", 1e-6);
  if (!epsilon.ok()) return epsilon.status();
  llama.norm_epsilon = *epsilon;
  auto rope = ReadRope(config, llama.shape, "full_attention");
  if (!rope.ok()) return rope.status();
  llama.rope = *std::move(rope);
  const auto attention_bias = config.BoolOr("attention_bias", false);
  if (!attention_bias.ok()) return attention_bias.status();
  llama.attention_bias = *attention_bias;
  const auto mlp_bias = config.BoolOr("mlp_bias", false);
  if (!mlp_bias.ok()) return mlp_bias.status();
  llama.mlp_bias = *mlp_bias;
  const auto tied = config.BoolOr("tie_word_embeddings", false);
  if (!tied.ok()) return tied.status();
  llama.tied = *tied;
  absl::Status activation = RequireString(config, "hidden_act", "silu");
  if (!activation.ok()) return activation;
  return llama;
}

class Llama final : public Architecture {
 public:
  explicit Llama(LlamaConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {{"embed_tokens", "model.embed_tokens.weight", EmbeddingShape()}};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const int64_t query = config_.shape.heads * config_.shape.head_dim;
    const int64_t key = config_.shape.kv_heads * config_.shape.head_dim;
    std::vector<TensorSpec> specs;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
      specs.push_back(
          {name, absl::StrCat("model.layers.", layer, ".", name), shape});
    };
    const auto add_linear = [&](const std::string& name, int64_t out,
                                int64_t in, bool bias) {
      add(name + ".weight", {out, in});
      if (bias) add(name + ".bias", {out});
    };
    add("input_layernorm.weight", {width});
    add_linear("self_attn.q_proj", query, width, config_.attention_bias);
    add_linear("self_attn.k_proj", key, width, config_.attention_bias);
    add_linear("self_attn.v_proj", key, width, config_.attention_bias);
    add_linear("self_attn.o_proj", width, query, config_.attention_bias);
    add("post_attention_layernorm.weight", {width});
    add_linear("mlp.gate_proj", wide, width, config_.mlp_bias);
    add_linear("mlp.up_proj", wide, width, config_.mlp_bias);
    add_linear("mlp.down_proj", width, wide, config_.mlp_bias);
    return specs;
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {{"norm", "model.norm.weight", {config_.shape.width}},
            {"lm_head",
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
    return Linear(RmsNorm(x_BTD, weights.at("norm"), config_.norm_epsilon),
                  weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj.weight");
  }

 private:
  std::vector<int64_t> EmbeddingShape() const {
    return {config_.shape.vocabulary, config_.shape.width};
  }

  at::Tensor Project(const TensorMap& weights, const std::string& name,
                     const at::Tensor& x, bool bias) const {
    return Linear(x, weights.at(name + ".weight"),
                  bias ? weights.at(name + ".bias") : at::Tensor());
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const bool bias = config_.attention_bias;
    const at::Tensor n_BTD = RmsNorm(
        x_BTD, weights.at("input_layernorm.weight"), config_.norm_epsilon);
    const at::Tensor q_BHTE = RotaryEmbedding(
        SplitHeads(Project(weights, "self_attn.q_proj", n_BTD, bias),
                   shape.heads),
        config_.rope);
    const at::Tensor k_BGTE = RotaryEmbedding(
        SplitHeads(Project(weights, "self_attn.k_proj", n_BTD, bias),
                   shape.kv_heads),
        config_.rope);
    const at::Tensor v_BGTE = SplitHeads(
        Project(weights, "self_attn.v_proj", n_BTD, bias), shape.kv_heads);
    recorder.Record(Point::kQ, layer, q_BHTE);
    recorder.Record(Point::kK, layer, k_BGTE);
    recorder.Record(Point::kV, layer, v_BGTE);
    const at::Tensor z_BHTE =
        CausalAttention(q_BHTE, k_BGTE, v_BGTE, shape.attention[layer]);
    recorder.Record(Point::kZ, layer, z_BHTE);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE), bias);
  }

  at::Tensor Mlp(const TensorMap& weights, const at::Tensor& x_BTD) const {
    const bool bias = config_.mlp_bias;
    const at::Tensor n_BTD =
        RmsNorm(x_BTD, weights.at("post_attention_layernorm.weight"),
                config_.norm_epsilon);
    const at::Tensor gated_BTF =
        Silu(Project(weights, "mlp.gate_proj", n_BTD, bias)) *
        Project(weights, "mlp.up_proj", n_BTD, bias);
    return Project(weights, "mlp.down_proj", gated_BTF, bias);
  }

  const LlamaConfig config_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> MakeLlama(
    const checkpoint::Config& config) {
  auto llama = ReadConfig(config);
  if (!llama.ok()) return llama.status();
  return std::make_unique<Llama>(*std::move(llama));
}

}  // namespace sinkwatch::model

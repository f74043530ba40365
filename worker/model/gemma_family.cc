// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width.
#include "worker/model/gemma_family.h"

#include <cmath>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/embedding.h"
#include "ATen/ops/tanh.h"
#include "absl/strings/str_cat.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

class GemmaLike final : public Architecture {
 public:
  explicit GemmaLike(GemmaFamily family) : family_(std::move(family)) {}

  const ModelShape& shape() const override { return family_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {Tokens().embedding};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = shape().width, wide = family_.feed_forward;
    PrefixedTensors tensors(absl::StrCat("model.layers.", layer, "."));
    tensors.Add("input_layernorm.weight", {width});
    tensors.AddAttention(shape(), family_.attention_bias);
    if (family_.head_norms) {
      tensors.Add("self_attn.q_norm.weight", {shape().head_dim});
      tensors.Add("self_attn.k_norm.weight", {shape().head_dim});
    }
    tensors.Add("post_attention_layernorm.weight", {width});
    tensors.Add("pre_feedforward_layernorm.weight", {width});
    tensors.AddLinear("mlp.gate_proj", wide, width, false);
    tensors.AddLinear("mlp.up_proj", wide, width, false);
    tensors.AddLinear("mlp.down_proj", width, wide, false);
    tensors.Add("post_feedforward_layernorm.weight", {width});
    return tensors.Take();
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {{"norm", "model.norm.weight", {shape().width}}, Tokens().output};
  }

  // The embedding comes in with the size of the stream.
  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT) *
           std::sqrt(static_cast<double>(shape().width));
  }

  // Norms before and after each sub-layer.
  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return Norm(weights, "post_attention_layernorm",
                      Attention(layer, weights,
                                Norm(weights, "input_layernorm", stream_BTD),
                                recorder));
        },
        [&](const at::Tensor& stream_BTD) {
          return Norm(
              weights, "post_feedforward_layernorm",
              GatedGelu(weights, Norm(weights, "pre_feedforward_layernorm",
                                      stream_BTD)));
        });
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    const at::Tensor logits_BTV =
        Linear(Scaled(x_BTD, weights.at("norm")), weights.at("lm_head"));
    const double cap = family_.final_soft_cap;
    return cap > 0 ? at::tanh(logits_BTV / cap) * cap : logits_BTV;
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj.weight");
  }

 private:
  TokenTensors Tokens() const {
    const std::vector<int64_t> table = shape().EmbeddingShape();
    const TokenTensors own{{"embed_tokens", "model.embed_tokens.weight", table},
                           {"lm_head", "lm_head.weight", table}};
    return family_.tied ? Tied(own) : own;
  }

  // The weight is what is added to 1.
  at::Tensor Scaled(const at::Tensor& x, const at::Tensor& weight) const {
    return RmsNormWide(x, weight.to(at::kFloat) + 1, family_.norm_epsilon);
  }
  at::Tensor Norm(const TensorMap& weights, const std::string& name,
                  const at::Tensor& x) const {
    return Scaled(x, weights.at(name + ".weight"));
  }

  at::Tensor GatedGelu(const TensorMap& weights, const at::Tensor& x) const {
    const at::Tensor gate =
        Gelu(Project(weights, "mlp.gate_proj", x), family_.activation);
    return Project(weights, "mlp.down_proj",
                   gate * Project(weights, "mlp.up_proj", x));
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    at::Tensor q_BHTE =
        ProjectHeads(weights, "self_attn.q_proj", n_BTD, shape().heads);
    at::Tensor k_BGTE =
        ProjectHeads(weights, "self_attn.k_proj", n_BTD, shape().kv_heads);
    if (family_.head_norms) {
      q_BHTE = Norm(weights, "self_attn.q_norm", q_BHTE);
      k_BGTE = Norm(weights, "self_attn.k_norm", k_BGTE);
    }
    const Rope& rope = family_.ropes[layer];
    const at::Tensor z_BHTE = RecordedAttention(
        layer, RotaryEmbedding(q_BHTE, rope), RotaryEmbedding(k_BGTE, rope),
        ProjectHeads(weights, "self_attn.v_proj", n_BTD, shape().kv_heads),
        shape().attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const GemmaFamily family_;
};

}  // namespace

GemmaFamily ReadGemmaFamily(files::Fields& config,
                            const std::string& architecture) {
  GemmaFamily family;
  ShapeKeys keys;
  keys.default_kv_heads = 4;
  keys.default_head_dim = 256;
  family.shape = ReadShape(config, architecture, keys);
  family.feed_forward = ReadFeedForwardWidth(config);
  family.tied = config.BoolOr("tie_word_embeddings", true);
  family.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-6);
  // hidden_act is an older name that transformers does not look at.
  family.activation =
      ReadGelu(config, "hidden_activation", "gelu_pytorch_tanh");
  family.attention_bias = config.BoolOr("attention_bias", false);
  config.RequireBool("use_bidirectional_attention", false, false);
  const double scalar = config.PositiveOr("query_pre_attn_scalar", 256);
  for (AttentionShape& layer : family.shape.attention) {
    layer.scale = 1 / std::sqrt(scalar);
  }
  return family;
}

double ReadSoftCap(files::Fields& config, const char* key, double fallback) {
  if (config.IsNull(key)) return 0;
  return config.Has(key) ? config.Positive(key) : fallback;
}

std::unique_ptr<Architecture> MakeGemmaFamily(GemmaFamily family) {
  return std::make_unique<GemmaLike>(std::move(family));
}

}  // namespace sinkwatch::model

// Apertus, as Hugging Face's ApertusForCausalLM: RMSNorm before each sub-layer,
// RMSNorm over each head's queries and keys, and an MLP without a gate whose
// activation, xIELU (arXiv 2411.13010), has weights of its own. B sequences, T
// tokens, D width, H query heads, G key/value heads, E head width.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/expm1.h"
#include "ATen/ops/minimum.h"
#include "ATen/ops/softplus.h"
#include "ATen/ops/where.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

struct ApertusConfig {
  ModelShape shape;
  int64_t feed_forward = 0;
  bool tied = false;
  bool attention_bias = false;
  double norm_epsilon = 0;
  Rope rope;
};

Rope ReadApertusRope(files::Fields& config, const ModelShape& shape) {
  // Hugging Face's class would fill in a scaling of its own, and a base.
  if (!config.Has("rope_parameters") && !config.Has("rope_scaling")) {
    config.Contradiction("rope_parameters is missing");
  }
  RopeFamily family;
  family.theta = 12e6;
  return ReadRope(config, shape, "full_attention", family);
}

ApertusConfig ReadConfig(files::Fields& config) {
  ApertusConfig apertus;
  apertus.shape = ReadShape(config, "ApertusForCausalLM");
  apertus.feed_forward = ReadFeedForwardWidth(config);
  apertus.tied = config.BoolOr("tie_word_embeddings", false);
  apertus.attention_bias = config.BoolOr("attention_bias", false);
  config.RequireBool("mlp_bias", false, false);
  config.RequireString("hidden_act", "xielu", "xielu");
  config.RequireBool("qk_norm", true, true);
  config.RequireBool("post_norm", false, false);
  apertus.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-5);
  apertus.rope = ReadApertusRope(config, apertus.shape);
  return apertus;
}

// alpha_p x^2 + beta x above 0, alpha_n (expm1(min(x, eps)) - x) + beta x
// below, with alpha_p = softplus(a_p), alpha_n = beta + softplus(a_n).
at::Tensor Xielu(const TensorMap& weights, const at::Tensor& x) {
  const auto weight = [&](const char* name) {
    return weights.at(absl::StrCat("mlp.act_fn.", name));
  };
  const at::Tensor beta = weight("beta");
  const at::Tensor alpha_p = at::softplus(weight("alpha_p"));
  const at::Tensor alpha_n = beta + at::softplus(weight("alpha_n"));
  return at::where(
      x > 0, alpha_p * x * x + beta * x,
      (at::expm1(at::minimum(x, weight("eps"))) - x) * alpha_n + beta * x);
}

class Apertus final : public RmsDecoder {
 public:
  explicit Apertus(ApertusConfig config)
      : RmsDecoder(config.shape, config.tied), config_(std::move(config)) {}

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = shape().width, wide = config_.feed_forward;
    PrefixedTensors tensors(absl::StrCat("model.layers.", layer, "."));
    tensors.Add("attention_layernorm.weight", {width});
    tensors.AddAttention(shape(), config_.attention_bias);
    tensors.Add("self_attn.q_norm.weight", {shape().head_dim});
    tensors.Add("self_attn.k_norm.weight", {shape().head_dim});
    tensors.Add("feedforward_layernorm.weight", {width});
    tensors.AddLinear("mlp.up_proj", wide, width, false);
    tensors.AddLinear("mlp.down_proj", width, wide, false);
    tensors.Add("mlp.act_fn.alpha_p", {1});
    tensors.Add("mlp.act_fn.alpha_n", {1});
    // Buffers of the activation, not in every checkpoint.
    tensors.AddConstant("mlp.act_fn.beta", 0.5);
    tensors.AddConstant("mlp.act_fn.eps", -1e-6);
    return tensors.Take();
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return Attention(
              layer, weights,
              Norm(stream_BTD, weights.at("attention_layernorm.weight")),
              recorder);
        },
        [&](const at::Tensor& stream_BTD) {
          const at::Tensor n_BTD =
              Norm(stream_BTD, weights.at("feedforward_layernorm.weight"));
          return Project(
              weights, "mlp.down_proj",
              Xielu(weights, Project(weights, "mlp.up_proj", n_BTD)));
        });
  }

 private:
  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNorm(x, weight, config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const auto heads = [&](const char* name, int64_t count) {
      return ProjectHeads(weights, name, n_BTD, count);
    };
    const at::Tensor q_BHTE = Norm(heads("self_attn.q_proj", shape().heads),
                                   weights.at("self_attn.q_norm.weight"));
    const at::Tensor k_BGTE = Norm(heads("self_attn.k_proj", shape().kv_heads),
                                   weights.at("self_attn.k_norm.weight"));
    const at::Tensor z_BHTE =
        RecordedAttention(layer, RotaryEmbedding(q_BHTE, config_.rope),
                          RotaryEmbedding(k_BGTE, config_.rope),
                          heads("self_attn.v_proj", shape().kv_heads),
                          shape().attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const ApertusConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeApertus(files::Fields& config) {
  return std::make_unique<Apertus>(ReadConfig(config));
}

}  // namespace sinkwatch::model

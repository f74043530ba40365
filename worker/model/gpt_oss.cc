// gpt-oss, as Hugging Face's GptOssForCausalLM: RMSNorm before each sub-layer,
// learned sinks, sliding and full layers in turn, rotary positions (YaRN),
// biases, a mixture of experts with a clamped SwiGLU instead of the MLP.
// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width, F an expert's width, X experts, K chosen, N = B*T, V vocabulary.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/addmm.h"
#include "ATen/ops/clamp.h"
#include "ATen/ops/clamp_max.h"
#include "ATen/ops/sigmoid.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/topk.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/experts.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

struct GptOssConfig {
  ModelShape shape;
  int64_t feed_forward = 0;  // of an expert
  ExpertCounts counts;
  double swiglu_limit = 0;
  double swiglu_alpha = 0;
  double norm_epsilon = 0;
  Rope rope;
  bool attention_bias = true;
  bool tied = false;
};

Rope ReadYarn(files::Fields& config, const ModelShape& shape) {
  // Hugging Face's class would fill in a scaling of its own.
  if (!config.Has("rope_parameters") && !config.Has("rope_scaling")) {
    config.Contradiction("rope_parameters is missing");
  }
  RopeFamily family;
  family.theta = 150000.0;
  return ReadRope(config, shape, "full_attention", family);
}

GptOssConfig ReadConfig(files::Fields& config) {
  GptOssConfig oss;
  ShapeKeys keys;
  keys.default_kv_heads = 8;
  keys.default_head_dim = 64;
  oss.shape = ReadShape(config, "GptOssForCausalLM", keys);
  ReadLayerTypes(
      config, ReadWindow(config, 128), [](int layer) { return layer % 2 == 0; },
      oss.shape);
  oss.feed_forward = ReadFeedForwardWidth(config);
  oss.counts = ReadExpertCounts(config);
  oss.swiglu_limit = config.PositiveOr("swiglu_limit", 7.0);
  oss.swiglu_alpha = config.PositiveOr("swiglu_alpha", 1.702);
  config.RequireString("hidden_act", "silu", "silu");
  oss.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-5);
  oss.rope = ReadYarn(config, oss.shape);
  oss.attention_bias = config.BoolOr("attention_bias", true);
  oss.tied = config.BoolOr("tie_word_embeddings", false);
  return oss;
}

class GptOss final : public RmsDecoder {
 public:
  explicit GptOss(GptOssConfig config)
      : RmsDecoder(config.shape, config.tied), config_(std::move(config)) {}

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {Tokens().embedding};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const int64_t experts = config_.counts.experts;
    PrefixedTensors tensors(absl::StrCat("model.layers.", layer, "."));
    tensors.Add("input_layernorm.weight", {width});
    tensors.AddAttention(shape(), config_.attention_bias);
    tensors.Add("self_attn.sinks", {config_.shape.heads});
    tensors.Add("post_attention_layernorm.weight", {width});
    tensors.AddLinear("mlp.router", experts, width, true);
    // [in, out], as the experts multiply.
    tensors.Add("mlp.experts.gate_up_proj", {experts, width, 2 * wide});
    tensors.Add("mlp.experts.gate_up_proj_bias", {experts, 2 * wide});
    tensors.Add("mlp.experts.down_proj", {experts, wide, width});
    tensors.Add("mlp.experts.down_proj_bias", {experts, width});
    return tensors.Take();
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {{"norm", "model.norm.weight", {config_.shape.width}},
            Tokens().output};
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return PreNormBlock(
        layer, weights, x_BTD, recorder,
        [&](const at::Tensor& n_BTD) {
          return Attention(layer, weights, n_BTD, recorder);
        },
        [&](const at::Tensor& n_BTD) {
          return Mixture(layer, weights, n_BTD, recorder);
        });
  }

  at::Tensor LearnedSinks(int, const TensorMap& weights) const override {
    return weights.at("self_attn.sinks");
  }

 private:
  TokenTensors Tokens() const {
    const std::vector<int64_t> shape = config_.shape.EmbeddingShape();
    const TokenTensors own{{"embed_tokens", "model.embed_tokens.weight", shape},
                           {"lm_head", "lm_head.weight", shape}};
    return config_.tied ? Tied(own) : own;
  }

  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNormWide(x, weight, config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const at::Tensor z_BHTE = RecordedAttention(
        layer,
        RotaryEmbedding(
            ProjectHeads(weights, "self_attn.q_proj", n_BTD, shape.heads),
            config_.rope),
        RotaryEmbedding(
            ProjectHeads(weights, "self_attn.k_proj", n_BTD, shape.kv_heads),
            config_.rope),
        ProjectHeads(weights, "self_attn.v_proj", n_BTD, shape.kv_heads),
        shape.attention[layer], recorder, LearnedSinks(layer, weights));
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  // The largest logits, then softmax over these.
  Routing Route(const at::Tensor& logits_NX) const {
    auto [logits_NK, expert_NK] =
        at::topk(logits_NX, config_.counts.chosen, -1);
    return {expert_NK, at::softmax(logits_NK, -1),
            at::softmax(logits_NX, -1, at::kFloat)};
  }

  // Gate and up are the even and the odd columns.
  at::Tensor Gated(const at::Tensor& gate_up_RF) const {
    const double limit = config_.swiglu_limit;
    const at::Tensor gate =
        at::clamp_max(gate_up_RF.slice(-1, 0, std::nullopt, 2), limit);
    const at::Tensor up =
        at::clamp(gate_up_RF.slice(-1, 1, std::nullopt, 2), -limit, limit);
    return (up + 1) * (gate * at::sigmoid(gate * config_.swiglu_alpha));
  }

  at::Tensor Mixture(int layer, const TensorMap& weights,
                     const at::Tensor& n_BTD, Recorder& recorder) const {
    const at::Tensor n_ND = n_BTD.flatten(0, 1);
    const auto expert = [&](int64_t index, const at::Tensor& x_RD) {
      const auto project = [&](const std::string& name, const at::Tensor& x) {
        return at::addmm(weights.at(name + "_bias").select(0, index), x,
                         weights.at(name).select(0, index));
      };
      return project("mlp.experts.down_proj",
                     Gated(project("mlp.experts.gate_up_proj", x_RD)));
    };
    const Routing routing = Route(Linear(n_ND, weights.at("mlp.router.weight"),
                                         weights.at("mlp.router.bias")));
    RecordRouting(layer, routing, n_BTD, recorder);
    return MixExperts(n_ND, routing, config_.counts.experts, expert)
        .view_as(n_BTD);
  }

  const GptOssConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeGptOss(files::Fields& config) {
  return std::make_unique<GptOss>(ReadConfig(config));
}

}  // namespace sinkwatch::model

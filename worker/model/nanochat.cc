// nanochat, as Hugging Face's NanoChatForCausalLM and as karpathy/nanochat
// trained it until January 2026: RMSNorms without weights, one of them behind
// the embedding, rotary positions that turn the other way, norms of each
// head's q and k behind them, relu^2, a soft cap of the logits. B sequences, T
// tokens, D width, H query heads, G key/value heads, E head width.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/embedding.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/tanh.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/gemma_family.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

struct NanoChatConfig {
  ModelShape shape;
  int64_t feed_forward = 0;
  bool tied = false;
  bool attention_bias = false;
  double norm_epsilon = 0;
  double final_soft_cap = 0;
  Rope rope;
};

NanoChatConfig ReadConfig(files::Fields& config) {
  NanoChatConfig nano;
  nano.shape = ReadShape(config, "NanoChatForCausalLM");
  nano.feed_forward = ReadFeedForwardWidth(config);
  nano.tied = config.BoolOr("tie_word_embeddings", false);
  nano.attention_bias = config.BoolOr("attention_bias", false);
  nano.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-6);
  nano.final_soft_cap = ReadSoftCap(config, "final_logit_softcapping", 15);
  config.RequireString("hidden_act", "relu2", "relu2");
  nano.rope = ReadRope(config, nano.shape, "full_attention");
  nano.rope.inverse_F = -nano.rope.inverse_F;
  return nano;
}

class NanoChat final : public Architecture {
 public:
  explicit NanoChat(NanoChatConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {Tokens().embedding};
  }
  std::vector<TensorSpec> HeadTensors() const override {
    return {Tokens().output};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = shape().width, wide = config_.feed_forward;
    const int64_t query = int64_t{shape().heads} * shape().head_dim;
    const int64_t key = int64_t{shape().kv_heads} * shape().head_dim;
    std::vector<TensorSpec> specs;
    const auto add = [&](const char* name, const char* trainers, int64_t out,
                         int64_t in) {
      specs.emplace_back(
          absl::StrCat(name, ".weight"),
          absl::StrCat("model.layers.", layer, ".", name, ".weight"),
          std::vector<int64_t>{out, in});
      AddName(absl::StrCat("transformer.h.", layer, ".", trainers, ".weight"),
              specs.back());
    };
    add("self_attn.q_proj", "attn.c_q", query, width);
    add("self_attn.k_proj", "attn.c_k", key, width);
    add("self_attn.v_proj", "attn.c_v", key, width);
    add("self_attn.o_proj", "attn.c_proj", width, query);
    add("mlp.fc1", "mlp.c_fc", wide, width);
    add("mlp.fc2", "mlp.c_proj", width, wide);
    if (!config_.attention_bias) return specs;
    for (TensorSpec& bias : QkvBiases(layer, shape())) {
      specs.push_back(std::move(bias));
    }
    specs.push_back(OutputBias(layer, shape()));
    return specs;
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return Norm(at::embedding(weights.at("embed_tokens"), tokens_BT));
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return Attention(layer, weights, Norm(stream_BTD), recorder);
        },
        [&](const at::Tensor& stream_BTD) {
          return Project(
              weights, "mlp.fc2",
              at::relu(Project(weights, "mlp.fc1", Norm(stream_BTD))).square());
        });
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    const at::Tensor logits_BTV = Linear(Norm(x_BTD), weights.at("lm_head"));
    const double cap = config_.final_soft_cap;
    return cap > 0 ? at::tanh(logits_BTV / cap) * cap : logits_BTV;
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj.weight");
  }

 private:
  TokenTensors Tokens() const {
    const std::vector<int64_t> table = shape().EmbeddingShape();
    TokenTensors own{{"embed_tokens", "model.embed_tokens.weight", table},
                     {"lm_head", "lm_head.weight", table}};
    AddName("transformer.wte.weight", own.embedding);
    AddPaddedName("transformer.wte.weight", 64, own.embedding);
    AddPaddedName("lm_head.weight", 64, own.output);
    return config_.tied ? Tied(own) : own;
  }

  at::Tensor Norm(const at::Tensor& x) const {
    return RmsNorm(x, at::ones({}, x.options()), config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const auto heads = [&](const char* name, int64_t count) {
      return ProjectHeads(weights, name, n_BTD, count);
    };
    const auto turned = [&](const at::Tensor& x_BHTE) {
      return Norm(RotaryEmbedding(x_BHTE, config_.rope));
    };
    const at::Tensor z_BHTE = RecordedAttention(
        layer, turned(heads("self_attn.q_proj", shape().heads)),
        turned(heads("self_attn.k_proj", shape().kv_heads)),
        heads("self_attn.v_proj", shape().kv_heads), shape().attention[layer],
        recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const NanoChatConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeNanoChat(files::Fields& config) {
  return std::make_unique<NanoChat>(ReadConfig(config));
}

}  // namespace sinkwatch::model

// GPT-NeoX and Pythia, as Hugging Face's GPTNeoXForCausalLM: LayerNorm,
// attention and MLP beside each other (or one after the other), rotary
// positions on a part of the head, GELU, biases. B sequences, T tokens, D
// width, H heads, E head width, F feed-forward width, V vocabulary.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/embedding.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/gelu.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

struct GptNeoXConfig {
  ModelShape shape;
  int64_t feed_forward = 0;
  double norm_epsilon = 0;
  Rope rope;
  GeluKind activation = GeluKind::kExact;
  bool attention_bias = true;
  bool parallel = true;
  bool tied = false;
};

GptNeoXConfig ReadConfig(files::Fields& config) {
  GptNeoXConfig neox;
  neox.shape = ReadShape(config, "GPTNeoXForCausalLM");
  RequireFullHeads(config, neox.shape);
  neox.feed_forward = ReadFeedForwardWidth(config);
  neox.norm_epsilon = config.PositiveOr("layer_norm_eps", 1e-5);
  RopeFamily family;
  family.partial_factor = 0.25;
  family.theta_key = "rotary_emb_base";
  family.partial_key = "rotary_pct";
  neox.rope = ReadRope(config, neox.shape, "full_attention", family);
  neox.activation = ReadGelu(config, "hidden_act", "gelu");
  neox.attention_bias = config.BoolOr("attention_bias", true);
  neox.parallel = config.BoolOr("use_parallel_residual", true);
  neox.tied = config.BoolOr("tie_word_embeddings", false);
  return neox;
}

class GptNeoX final : public Architecture {
 public:
  explicit GptNeoX(GptNeoXConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {Tokens().embedding};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const bool bias = config_.attention_bias;
    PrefixedTensors tensors(absl::StrCat("gpt_neox.layers.", layer, "."));
    tensors.AddNorm("input_layernorm", width);
    tensors.AddNorm("post_attention_layernorm", width);
    tensors.AddLinear("attention.query_key_value", 3 * width, width, bias);
    tensors.AddLinear("attention.dense", width, width, bias);
    tensors.AddLinear("mlp.dense_h_to_4h", wide, width, true);
    tensors.AddLinear("mlp.dense_4h_to_h", width, wide, true);
    return tensors.Take();
  }

  std::vector<TensorSpec> HeadTensors() const override {
    const int64_t width = config_.shape.width;
    const std::string norm = "gpt_neox.final_layer_norm";
    return {{"norm.weight", norm + ".weight", {width}},
            {"norm.bias", norm + ".bias", {width}},
            Tokens().output};
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT);
  }

  // Parallel: both sub-layers read x, and there is no stream between them.
  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    if (!config_.parallel) {
      return Residual(
          layer, x_BTD, recorder,
          [&](const at::Tensor& stream_BTD) {
            return Attention(layer, weights, stream_BTD, recorder);
          },
          [&](const at::Tensor& stream_BTD) {
            return Mlp(weights, stream_BTD);
          });
    }
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const at::Tensor attended_BTD =
        Added(layer, Point::kAttnOut,
              Attention(layer, weights, x_BTD, recorder), recorder);
    const at::Tensor mlp_BTD =
        Added(layer, Point::kMlpOut, Mlp(weights, x_BTD), recorder);
    const at::Tensor out_BTD = mlp_BTD + attended_BTD + x_BTD;
    recorder.Record(Point::kResidPost, layer, out_BTD);
    return out_BTD;
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    return Linear(Norm(weights, "norm", x_BTD), weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("attention.dense.weight");
  }

 private:
  TokenTensors Tokens() const {
    const std::vector<int64_t> shape = config_.shape.EmbeddingShape();
    TokenTensors own{{"embed_tokens", "gpt_neox.embed_in.weight", shape},
                     {"lm_head", "embed_out.weight", shape}};
    AddName("lm_head.weight", own.output);  // transformers 5.24's own name
    return config_.tied ? Tied(own) : own;
  }

  at::Tensor Norm(const TensorMap& weights, const std::string& name,
                  const at::Tensor& x) const {
    return LayerNorm(weights, name, x, config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    // The rows lie head by head: q of a head, its k, its v.
    const std::vector<at::Tensor> qkv_BHTE =
        ProjectHeads(weights, "attention.query_key_value",
                     Norm(weights, "input_layernorm", x_BTD), shape.heads)
            .chunk(3, -1);
    const at::Tensor z_BHTE =
        RecordedAttention(layer, RotaryEmbedding(qkv_BHTE[0], config_.rope),
                          RotaryEmbedding(qkv_BHTE[1], config_.rope),
                          qkv_BHTE[2], shape.attention[layer], recorder);
    return Project(weights, "attention.dense", MergeHeads(z_BHTE));
  }

  at::Tensor Mlp(const TensorMap& weights, const at::Tensor& x_BTD) const {
    const at::Tensor wide_BTF =
        Project(weights, "mlp.dense_h_to_4h",
                Norm(weights, "post_attention_layernorm", x_BTD));
    return Project(weights, "mlp.dense_4h_to_h",
                   Gelu(wide_BTF, config_.activation));
  }

  const GptNeoXConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeGptNeoX(files::Fields& config) {
  return std::make_unique<GptNeoX>(ReadConfig(config));
}

}  // namespace sinkwatch::model

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
#include "absl/status/statusor.h"
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

absl::Status ReadSwitches(const checkpoint::Config& config,
                          GptNeoXConfig& neox) {
  const auto bias = config.BoolOr("attention_bias", true);
  if (!bias.ok()) return bias.status();
  neox.attention_bias = *bias;
  const auto parallel = config.BoolOr("use_parallel_residual", true);
  if (!parallel.ok()) return parallel.status();
  neox.parallel = *parallel;
  const auto tied = config.BoolOr("tie_word_embeddings", false);
  if (!tied.ok()) return tied.status();
  neox.tied = *tied;
  return absl::OkStatus();
}

absl::StatusOr<GptNeoXConfig> ReadConfig(const checkpoint::Config& config) {
  GptNeoXConfig neox;
  auto shape = ReadShape(config, "GPTNeoXForCausalLM");
  if (!shape.ok()) return shape.status();
  neox.shape = *std::move(shape);
  absl::Status full = RequireFullHeads(config, neox.shape);
  if (!full.ok()) return full;
  const auto feed_forward = ReadFeedForwardWidth(config);
  if (!feed_forward.ok()) return feed_forward.status();
  neox.feed_forward = *feed_forward;
  const auto epsilon = config.PositiveOr("layer_norm_eps", 1e-5);
  if (!epsilon.ok()) return epsilon.status();
  neox.norm_epsilon = *epsilon;
  RopeFamily family;
  family.partial_factor = 0.25;
  auto rope = ReadRope(config, neox.shape, "full_attention", family);
  if (!rope.ok()) return rope.status();
  neox.rope = *std::move(rope);
  const auto activation = ReadGelu(config, "hidden_act", "gelu");
  if (!activation.ok()) return activation.status();
  neox.activation = *activation;
  absl::Status switches = ReadSwitches(config, neox);
  if (!switches.ok()) return switches;
  return neox;
}

class GptNeoX final : public Architecture {
 public:
  explicit GptNeoX(GptNeoXConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {{"embed_tokens", "gpt_neox.embed_in.weight",
             config_.shape.EmbeddingShape()}};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    std::vector<TensorSpec> specs;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
      specs.push_back({name, absl::StrCat("gpt_neox.layers.", layer, ".", name),
                       std::move(shape)});
    };
    const auto add_linear = [&](const std::string& name, int64_t out,
                                int64_t in, bool bias) {
      add(name + ".weight", {out, in});
      if (bias) add(name + ".bias", {out});
    };
    const bool bias = config_.attention_bias;
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
      add(absl::StrCat(norm, ".weight"), {width});
      add(absl::StrCat(norm, ".bias"), {width});
    }
    add_linear("attention.query_key_value", 3 * width, width, bias);
    add_linear("attention.dense", width, width, bias);
    add_linear("mlp.dense_h_to_4h", wide, width, true);
    add_linear("mlp.dense_4h_to_h", width, wide, true);
    return specs;
  }

  std::vector<TensorSpec> HeadTensors() const override {
    const int64_t width = config_.shape.width;
    const std::string norm = "gpt_neox.final_layer_norm";
    const TensorSpec output("lm_head", "embed_out.weight",
                            config_.shape.EmbeddingShape());
    return {{"norm.weight", norm + ".weight", {width}},
            {"norm.bias", norm + ".bias", {width}},
            config_.tied ? TiedTo(EmbeddingTensors()[0], output) : output};
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT);
  }

  // Parallel: both sub-layers read x, and there is no stream between them.
  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const at::Tensor attended_BTD = Attention(layer, weights, x_BTD, recorder);
    recorder.Record(Point::kAttnOut, layer, attended_BTD);
    at::Tensor mid_BTD;
    if (!config_.parallel) {
      mid_BTD = x_BTD + attended_BTD;
      recorder.Record(Point::kResidMid, layer, mid_BTD);
    }
    const at::Tensor mlp_BTD = Mlp(weights, config_.parallel ? x_BTD : mid_BTD);
    recorder.Record(Point::kMlpOut, layer, mlp_BTD);
    const at::Tensor out_BTD =
        config_.parallel ? mlp_BTD + attended_BTD + x_BTD : mid_BTD + mlp_BTD;
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
  at::Tensor Norm(const TensorMap& weights, const std::string& name,
                  const at::Tensor& x) const {
    return LayerNorm(weights, name, x, config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    // The rows lie head by head: q of a head, its k, its v.
    const std::vector<at::Tensor> qkv_BHTE =
        SplitHeads(Project(weights, "attention.query_key_value",
                           Norm(weights, "input_layernorm", x_BTD)),
                   shape.heads)
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

absl::StatusOr<std::unique_ptr<Architecture>> MakeGptNeoX(
    const checkpoint::Config& config) {
  auto neox = ReadConfig(config);
  if (!neox.ok()) return neox.status();
  return std::make_unique<GptNeoX>(*std::move(neox));
}

}  // namespace sinkwatch::model

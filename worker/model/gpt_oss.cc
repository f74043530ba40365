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
#include "ATen/ops/embedding.h"
#include "ATen/ops/sigmoid.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/topk.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/experts.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kMaxExperts = 4096;

struct GptOssConfig {
  ModelShape shape;
  int64_t feed_forward = 0;  // of an expert
  int64_t experts = 0;
  int64_t chosen = 0;
  double swiglu_limit = 0;
  double swiglu_alpha = 0;
  double norm_epsilon = 0;
  Rope rope;
  bool attention_bias = true;
  bool tied = false;
};

absl::Status ReadExperts(const checkpoint::Config& config, GptOssConfig& oss) {
  const auto feed_forward = ReadFeedForwardWidth(config);
  if (!feed_forward.ok()) return feed_forward.status();
  oss.feed_forward = *feed_forward;
  const auto experts = config.Int("num_local_experts", 1, kMaxExperts);
  if (!experts.ok()) return experts.status();
  oss.experts = *experts;
  const auto chosen = config.Int("num_experts_per_tok", 1, *experts);
  if (!chosen.ok()) return chosen.status();
  oss.chosen = *chosen;
  const auto limit = config.PositiveOr("swiglu_limit", 7.0);
  if (!limit.ok()) return limit.status();
  oss.swiglu_limit = *limit;
  const auto alpha = config.PositiveOr("swiglu_alpha", 1.702);
  if (!alpha.ok()) return alpha.status();
  oss.swiglu_alpha = *alpha;
  return RequireString(config, "hidden_act", "silu");
}

absl::StatusOr<Rope> ReadYarn(const checkpoint::Config& config,
                              const ModelShape& shape) {
  // Hugging Face's class would fill in a scaling of its own.
  if (!config.Has("rope_parameters") && !config.Has("rope_scaling")) {
    return config.Contradiction("rope_parameters is missing");
  }
  RopeFamily family;
  family.theta = 150000.0;
  return ReadRope(config, shape, "full_attention", family);
}

absl::StatusOr<GptOssConfig> ReadConfig(const checkpoint::Config& config) {
  GptOssConfig oss;
  auto shape = ReadShape(config, "GptOssForCausalLM");
  if (!shape.ok()) return shape.status();
  oss.shape = *std::move(shape);
  const auto window = ReadWindow(config, 128);
  if (!window.ok()) return window.status();
  absl::Status windows = ReadLayerTypes(
      config, *window, [](int layer) { return layer % 2 == 0; }, oss.shape);
  if (!windows.ok()) return windows;
  absl::Status experts = ReadExperts(config, oss);
  if (!experts.ok()) return experts;
  const auto epsilon = config.PositiveOr("rms_norm_eps", 1e-5);
  if (!epsilon.ok()) return epsilon.status();
  oss.norm_epsilon = *epsilon;
  auto rope = ReadYarn(config, oss.shape);
  if (!rope.ok()) return rope.status();
  oss.rope = *std::move(rope);
  const auto bias = config.BoolOr("attention_bias", true);
  if (!bias.ok()) return bias.status();
  oss.attention_bias = *bias;
  const auto tied = config.BoolOr("tie_word_embeddings", false);
  if (!tied.ok()) return tied.status();
  oss.tied = *tied;
  return oss;
}

class GptOss final : public Architecture {
 public:
  explicit GptOss(GptOssConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {{"embed_tokens", "model.embed_tokens.weight",
             config_.shape.EmbeddingShape()}};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const int64_t query = config_.shape.heads * config_.shape.head_dim;
    const int64_t key = config_.shape.kv_heads * config_.shape.head_dim;
    const int64_t experts = config_.experts;
    std::vector<TensorSpec> specs;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
      specs.push_back({name, absl::StrCat("model.layers.", layer, ".", name),
                       std::move(shape)});
    };
    const auto add_linear = [&](const std::string& name, int64_t out,
                                int64_t in) {
      add(name + ".weight", {out, in});
      if (config_.attention_bias) add(name + ".bias", {out});
    };
    add("input_layernorm.weight", {width});
    add_linear("self_attn.q_proj", query, width);
    add_linear("self_attn.k_proj", key, width);
    add_linear("self_attn.v_proj", key, width);
    add_linear("self_attn.o_proj", width, query);
    add("self_attn.sinks", {config_.shape.heads});
    add("post_attention_layernorm.weight", {width});
    add("mlp.router.weight", {experts, width});
    add("mlp.router.bias", {experts});
    // [in, out], as the experts multiply.
    add("mlp.experts.gate_up_proj", {experts, width, 2 * wide});
    add("mlp.experts.gate_up_proj_bias", {experts, 2 * wide});
    add("mlp.experts.down_proj", {experts, wide, width});
    add("mlp.experts.down_proj_bias", {experts, width});
    return specs;
  }

  std::vector<TensorSpec> HeadTensors() const override {
    const TensorSpec output("lm_head", "lm_head.weight",
                            config_.shape.EmbeddingShape());
    return {{"norm", "model.norm.weight", {config_.shape.width}},
            config_.tied ? TiedTo(EmbeddingTensors()[0], output) : output};
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
    const at::Tensor mlp_BTD = Mixture(weights, mid_BTD);
    recorder.Record(Point::kMlpOut, layer, mlp_BTD);
    const at::Tensor out_BTD = mid_BTD + mlp_BTD;
    recorder.Record(Point::kResidPost, layer, out_BTD);
    return out_BTD;
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    return Linear(Norm(weights, "norm", x_BTD), weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj.weight");
  }

  at::Tensor LearnedSinks(int, const TensorMap& weights) const override {
    return weights.at("self_attn.sinks");
  }

 private:
  at::Tensor Norm(const TensorMap& weights, const std::string& name,
                  const at::Tensor& x) const {
    return RmsNormWide(x, weights.at(name), config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const at::Tensor n_BTD = Norm(weights, "input_layernorm.weight", x_BTD);
    const auto heads = [&](const char* name, int64_t count) {
      return SplitHeads(Project(weights, name, n_BTD), count);
    };
    const at::Tensor z_BHTE = RecordedAttention(
        layer,
        RotaryEmbedding(heads("self_attn.q_proj", shape.heads), config_.rope),
        RotaryEmbedding(heads("self_attn.k_proj", shape.kv_heads),
                        config_.rope),
        heads("self_attn.v_proj", shape.kv_heads), shape.attention[layer],
        recorder, LearnedSinks(layer, weights));
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  // The largest logits, then softmax over these.
  Routing Route(const at::Tensor& logits_NX) const {
    auto [logits_NK, expert_NK] = at::topk(logits_NX, config_.chosen, -1);
    return {expert_NK, at::softmax(logits_NK, -1)};
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

  at::Tensor Mixture(const TensorMap& weights, const at::Tensor& x_BTD) const {
    const at::Tensor n_ND =
        Norm(weights, "post_attention_layernorm.weight", x_BTD).flatten(0, 1);
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
    return MixExperts(n_ND, routing, config_.experts, expert).view_as(x_BTD);
  }

  const GptOssConfig config_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> MakeGptOss(
    const checkpoint::Config& config) {
  auto oss = ReadConfig(config);
  if (!oss.ok()) return oss.status();
  return std::make_unique<GptOss>(*std::move(oss));
}

}  // namespace sinkwatch::model

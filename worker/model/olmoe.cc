// OLMoE, as Hugging Face's OlmoeForCausalLM: RMSNorm before each sub-layer,
// norms of the whole query and key before rotation, a mixture of SwiGLU experts
// instead of the MLP. B sequences, T tokens, D width, H query heads, G
// key/value heads, E head width, F an expert's width, X experts, K chosen, N =
// B*T, V vocabulary.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/clamp.h"
#include "ATen/ops/embedding.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/topk.h"
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

struct OlmoeConfig : SwiGluShape {  // of an expert
  ExpertCounts counts;
  bool renormalised = false;  // the chosen experts' weights add up to 1
  double norm_epsilon = 0;
  double clip_qkv = 0;  // 0: not clamped
  Rope rope;
};

OlmoeConfig ReadConfig(files::Fields& config) {
  OlmoeConfig olmoe;
  ReadSwiGluShape(config, "OlmoeForCausalLM", olmoe);
  RequireFullHeads(config, olmoe.shape);
  olmoe.counts = ReadExpertCounts(config);
  olmoe.renormalised = config.BoolOr("norm_topk_prob", false);
  olmoe.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-5);
  olmoe.clip_qkv = ReadClipQkv(config);
  olmoe.rope = ReadRope(config, olmoe.shape, "full_attention");
  config.RequireBool("attention_bias", false, false);
  return olmoe;
}

std::string ExpertName(int64_t index, const char* projection) {
  return absl::StrCat("mlp.experts.", index, ".", projection);
}

class Olmoe final : public Architecture {
 public:
  explicit Olmoe(OlmoeConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {TokenTensorsOf(config_.shape, config_.tied).embedding};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width;
    const int64_t key = config_.shape.kv_heads * config_.shape.head_dim;
    const auto spec = [layer](const std::string& name, const char* native,
                              std::vector<int64_t> shape) {
      TensorSpec one = Named(layer, name, std::move(shape));
      AddOlmoName(layer, native, one);
      return one;
    };
    const auto fused = [&](const char* name, int64_t first, int64_t rows) {
      TensorSpec part = Named(layer, name, {rows, width});
      AddOlmoRows(layer, "att_proj.weight", width + 2 * key, first, part);
      return part;
    };
    std::vector<TensorSpec> specs = {
        spec("input_layernorm", "attn_norm.weight", {width}),
        fused("self_attn.q_proj", 0, width),
        fused("self_attn.k_proj", width, key),
        fused("self_attn.v_proj", width + key, key),
        spec("self_attn.q_norm", "q_norm.weight", {width}),
        spec("self_attn.k_norm", "k_norm.weight", {key}),
        spec("self_attn.o_proj", "attn_out.weight", {width, width}),
        spec("post_attention_layernorm", "ff_norm.weight", {width}),
        spec("mlp.gate", "ffn.router.layer.weight",
             {config_.counts.experts, width})};
    AddExperts(layer, specs);
    return specs;
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {FinalNormTensor(config_.shape),
            TokenTensorsOf(config_.shape, config_.tied).output};
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT);
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return Attention(layer, weights, stream_BTD, recorder);
        },
        [&](const at::Tensor& stream_BTD) {
          return Mixture(layer, weights, stream_BTD, recorder);
        });
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    return Linear(Norm(weights, "norm", x_BTD), weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj");
  }

 private:
  static TensorSpec Named(int layer, const std::string& name,
                          std::vector<int64_t> shape) {
    return {name, absl::StrCat("model.layers.", layer, ".", name, ".weight"),
            std::move(shape)};
  }

  // transformers 5 holds a layer's experts as two stacks, and some of its
  // writers leave them so; the trainer's (MegaBlocks) has all experts of a
  // layer in one matrix, one below the other, and the last of the three on its
  // side.
  void AddExperts(int layer, std::vector<TensorSpec>& specs) const {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    const auto add = [&](int64_t index, const char* projection,
                         const char* native, std::vector<int64_t> shape,
                         Arrangement arrangement) {
      TensorSpec spec =
          Named(layer, ExpertName(index, projection), std::move(shape));
      AddOlmoName(layer, absl::StrCat("ffn.experts.mlp.", native), spec);
      for (size_t i = 1; i < spec.sources.size(); ++i) {
        spec.sources[i].shape = {config_.counts.experts * wide, width};
        spec.sources[i].arrangement = arrangement;
        spec.sources[i].first_row = index * wide;
      }
      AddStackedExpert(layer, "mlp.experts.", projection, index,
                       config_.counts.experts, spec);
      specs.push_back(std::move(spec));
    };
    for (int64_t index = 0; index < config_.counts.experts; ++index) {
      add(index, "gate_proj", "w1", {wide, width}, Arrangement::kAsStored);
      add(index, "up_proj", "v1", {wide, width}, Arrangement::kAsStored);
      add(index, "down_proj", "w2", {width, wide}, Arrangement::kTransposed);
    }
  }

  at::Tensor Norm(const TensorMap& weights, const std::string& name,
                  const at::Tensor& x) const {
    return RmsNorm(x, weights.at(name), config_.norm_epsilon);
  }

  // Clamped after the norm of the whole projection, before rotation.
  at::Tensor Clip(const at::Tensor& x) const {
    if (config_.clip_qkv == 0) return x;
    return at::clamp(x, -config_.clip_qkv, config_.clip_qkv);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const at::Tensor n_BTD = Norm(weights, "input_layernorm", x_BTD);
    const auto project = [&](const char* name) {
      return Linear(n_BTD, weights.at(name));
    };
    const at::Tensor q_BTD =
        Clip(Norm(weights, "self_attn.q_norm", project("self_attn.q_proj")));
    const at::Tensor k_BTD =
        Clip(Norm(weights, "self_attn.k_norm", project("self_attn.k_proj")));
    const at::Tensor q_BHTE =
        RotaryEmbedding(SplitHeads(q_BTD, shape.heads), config_.rope);
    const at::Tensor k_BGTE =
        RotaryEmbedding(SplitHeads(k_BTD, shape.kv_heads), config_.rope);
    const at::Tensor v_BGTE =
        SplitHeads(Clip(project("self_attn.v_proj")), shape.kv_heads);
    const at::Tensor z_BHTE = RecordedAttention(
        layer, q_BHTE, k_BGTE, v_BGTE, shape.attention[layer], recorder);
    return Linear(MergeHeads(z_BHTE), weights.at("self_attn.o_proj"));
  }

  // Softmax over all experts in float32, then the largest.
  Routing Route(const at::Tensor& logits_NX) const {
    const at::Tensor score_NX = at::softmax(logits_NX, -1, at::kFloat);
    auto [weight_NK, expert_NK] = at::topk(score_NX, config_.counts.chosen, -1);
    if (config_.renormalised) {
      weight_NK = weight_NK / weight_NK.sum(-1, /*keepdim=*/true);
    }
    return {expert_NK, weight_NK.to(logits_NX.scalar_type()), score_NX};
  }

  at::Tensor Mixture(int layer, const TensorMap& weights,
                     const at::Tensor& x_BTD, Recorder& recorder) const {
    const at::Tensor n_ND =
        Norm(weights, "post_attention_layernorm", x_BTD).flatten(0, 1);
    const auto expert = [&](int64_t index, const at::Tensor& x_RD) {
      const auto project = [&](const char* name, const at::Tensor& x) {
        return Linear(x, weights.at(ExpertName(index, name)));
      };
      return project("down_proj", Silu(project("gate_proj", x_RD)) *
                                      project("up_proj", x_RD));
    };
    const Routing routing = Route(Linear(n_ND, weights.at("mlp.gate")));
    RecordRouting(layer, routing, x_BTD, recorder);
    return MixExperts(n_ND, routing, config_.counts.experts, expert)
        .view_as(x_BTD);
  }

  const OlmoeConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeOlmoe(files::Fields& config) {
  return std::make_unique<Olmoe>(ReadConfig(config));
}

}  // namespace sinkwatch::model

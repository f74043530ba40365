// OLMoE, as Hugging Face's OlmoeForCausalLM: RMSNorm before each sub-layer,
// norms of the whole query and key before rotation, a mixture of SwiGLU experts
// instead of the MLP. B sequences, T tokens, D width, H query heads, G
// key/value heads, E head width.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ops/clamp.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/layers.h"
#include "worker/model/mixture.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

struct OlmoeConfig : SwiGluShape {  // of an expert
  SwiGluMixture mixture;
  double norm_epsilon = 0;
  double clip_qkv = 0;  // 0: not clamped
  Rope rope;
};

OlmoeConfig ReadConfig(files::Fields& config) {
  OlmoeConfig olmoe;
  ReadSwiGluShape(config, "OlmoeForCausalLM", olmoe);
  RequireFullHeads(config, olmoe.shape);
  olmoe.mixture.counts = ReadExpertCounts(config);
  olmoe.mixture.feed_forward = olmoe.feed_forward;
  olmoe.mixture.renormalised = config.BoolOr("norm_topk_prob", false);
  olmoe.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-5);
  olmoe.clip_qkv = ReadClipQkv(config);
  olmoe.rope = ReadRope(config, olmoe.shape, "full_attention");
  config.RequireBool("attention_bias", false, false);
  return olmoe;
}

class Olmoe final : public RmsDecoder {
 public:
  explicit Olmoe(OlmoeConfig config)
      : RmsDecoder(config.shape, config.tied), config_(std::move(config)) {}

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    std::vector<TensorSpec> specs = AttentionTensors(layer);
    for (TensorSpec& spec : ExpertTensors(layer)) {
      specs.push_back(std::move(spec));
    }
    return specs;
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return PreNormBlock(
        layer, weights, x_BTD, recorder,
        [&](const at::Tensor& n_BTD) {
          return Attention(layer, weights, n_BTD, recorder);
        },
        [&](const at::Tensor& n_BTD) {
          return MixSwiGlu(layer, weights, config_.mixture, n_BTD, recorder);
        });
  }

 private:
  std::vector<TensorSpec> AttentionTensors(int layer) const {
    const int64_t width = shape().width;
    const int64_t key = int64_t{shape().kv_heads} * shape().head_dim;
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
    return {spec("input_layernorm", "attn_norm.weight", {width}),
            fused("self_attn.q_proj", 0, width),
            fused("self_attn.k_proj", width, key),
            fused("self_attn.v_proj", width + key, key),
            spec("self_attn.q_norm", "q_norm.weight", {width}),
            spec("self_attn.k_norm", "k_norm.weight", {key}),
            spec("self_attn.o_proj", "attn_out.weight", {width, width}),
            spec("post_attention_layernorm", "ff_norm.weight", {width})};
  }

  // The router and the experts, each gate, up and down.
  std::vector<TensorSpec> ExpertTensors(int layer) const {
    std::vector<TensorSpec> specs =
        MixtureTensors(layer, shape().width, config_.mixture);
    for (int64_t index = 0; index < config_.mixture.counts.experts; ++index) {
      AddMegaBlocksRows(layer, "w1", index, specs[3 * index]);
      AddMegaBlocksRows(layer, "v1", index, specs[3 * index + 1]);
      AddMegaBlocksRows(layer, "w2", index, specs[3 * index + 2]);
    }
    AddOlmoName(layer, "ffn.router.layer.weight", specs.back());
    return specs;
  }

  // The trainer's experts (MegaBlocks): all of a layer in one matrix, one below
  // the other, the last of the three on its side.
  void AddMegaBlocksRows(int layer, const std::string& name, int64_t index,
                         TensorSpec& spec) const {
    const int64_t wide = config_.feed_forward;
    const size_t first = spec.sources.size();
    AddOlmoName(layer, "ffn.experts.mlp." + name, spec);
    for (size_t i = first; i < spec.sources.size(); ++i) {
      TensorSource& source = spec.sources[i];
      source.shape = {config_.mixture.counts.experts * wide, shape().width};
      if (name == "w2") source.arrangement = Arrangement::kTransposed;
      source.first_row = index * wide;
    }
  }

  static TensorSpec Named(int layer, const std::string& name,
                          std::vector<int64_t> shape) {
    const std::string full = name + ".weight";
    return {full, absl::StrCat("model.layers.", layer, ".", full),
            std::move(shape)};
  }

  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNorm(x, weight, config_.norm_epsilon);
  }

  // Clamped after the norm of the whole projection, before rotation.
  at::Tensor Clip(const at::Tensor& x) const {
    if (config_.clip_qkv == 0) return x;
    return at::clamp(x, -config_.clip_qkv, config_.clip_qkv);
  }

  // Queries and keys are normed over the width of all heads together, before
  // these are split.
  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const auto project = [&](const std::string& name) {
      return Project(weights, "self_attn." + name + "_proj", n_BTD);
    };
    const auto rotated = [&](const std::string& name, int64_t heads) {
      const at::Tensor& weight =
          weights.at("self_attn." + name + "_norm.weight");
      return RotaryEmbedding(
          SplitHeads(Clip(Norm(project(name), weight)), heads), config_.rope);
    };
    const at::Tensor q_BHTE = rotated("q", shape().heads);
    const at::Tensor k_BGTE = rotated("k", shape().kv_heads);
    const at::Tensor v_BGTE = SplitHeads(Clip(project("v")), shape().kv_heads);
    const at::Tensor z_BHTE = RecordedAttention(
        layer, q_BHTE, k_BGTE, v_BGTE, shape().attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const OlmoeConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeOlmoe(files::Fields& config) {
  return std::make_unique<Olmoe>(ReadConfig(config));
}

}  // namespace sinkwatch::model

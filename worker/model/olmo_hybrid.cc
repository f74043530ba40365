// OLMo hybrid, as Hugging Face's OlmoHybridForCausalLM: gated delta networks
// (Llama's order of norms; OLMo-core's configs may have OLMo 3's) and attention
// (OLMo 3's: norms behind the sub-layers, norms of the whole queries and keys)
// in turn, with rotary positions or without. B sequences, T tokens, D width, H
// query heads, G key/value heads, E head width; C channels, K taps, V width of
// a delta head's values.
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/sigmoid.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/delta_net.h"
#include "worker/model/delta_shape.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

// Of the delta network's own norm: not a key of the config.
constexpr double kDeltaNormEpsilon = 1e-5;

struct OlmoHybridConfig : SwiGluShape {
  double norm_epsilon = 0;
  bool attention_bias = false;
  bool rotated = true;
  Rope rope;
  DeltaShape delta;
  bool negative_eigenvalues = true;
  // The norms of a delta network's layer come behind its sub-layers.
  bool delta_norm_after = false;
};

// Published models have no rotary positions, and say so by a theta of null.
bool IsRotated(files::Fields& config) {
  const bool old_name = config.StringOr("model_type", "") == "olmo3_2_hybrid";
  if (old_name && !config.json().contains("rope_theta")) {
    config.Unsupported("no rope_theta under the name of before the release");
  }
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.Has(key)) continue;
    const files::Fields section = config.Section(key);
    if (section.IsNull("rope_theta")) return false;
    if (section.json().contains("rope_theta")) return true;
  }
  return !config.IsNull("rope_theta");
}

OlmoHybridConfig ReadConfig(files::Fields& config) {
  OlmoHybridConfig olmo;
  ReadSwiGluShape(config, "OlmoHybridForCausalLM", olmo);
  olmo.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-6);
  olmo.attention_bias = config.BoolOr("attention_bias", false);
  config.RequireBool("linear_use_gate", true, true);
  ReadLinearLayers(
      config, [](int layer) { return layer % 4 != 3; }, olmo.shape);
  olmo.rotated = IsRotated(config);
  if (olmo.rotated) {
    olmo.rope = ReadRope(config, olmo.shape, "full_attention");
  }
  const int64_t key_dim =
      3 * int64_t{olmo.shape.width} / (4 * olmo.shape.heads);
  olmo.delta = ReadDeltaShape(
      config, {olmo.shape.heads, olmo.shape.heads, key_dim, 0, 4});
  olmo.negative_eigenvalues = config.BoolOr("linear_allow_neg_eigval", true);
  olmo.delta_norm_after = config.BoolOr("linear_norm_after", false);
  return olmo;
}

class OlmoHybrid final : public RmsDecoder {
 public:
  explicit OlmoHybrid(OlmoHybridConfig config)
      : RmsDecoder(config.shape, config.tied), config_(std::move(config)) {}
  std::vector<TensorSpec> LayerTensors(int layer) const override {
    return IsLinear(layer) ? DeltaTensors(layer) : AttentionTensorsOf(layer);
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return IsLinear(layer) ? DeltaBlock(layer, weights, x_BTD, recorder)
                           : AttentionBlock(layer, weights, x_BTD, recorder);
  }

 private:
  bool IsLinear(int layer) const {
    return shape().attention[layer].kind == AttentionKind::kNone;
  }

  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNormWide(x, weight, config_.norm_epsilon);
  }

  at::Tensor DeltaBlock(int layer, const TensorMap& weights,
                        const at::Tensor& x_BTD, Recorder& recorder) const {
    const bool after = config_.delta_norm_after;
    const auto norm = [&](const char* name, bool is_here, const at::Tensor& x) {
      return is_here ? Norm(x, weights.at(name)) : x;
    };
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return norm(
              "mixer_norm.weight", after,
              DeltaNet(weights, norm("mixer_norm.weight", !after, stream_BTD)));
        },
        [&](const at::Tensor& stream_BTD) {
          return norm("mlp_norm.weight", after,
                      SwiGlu(weights, "mlp.",
                             norm("mlp_norm.weight", !after, stream_BTD)));
        });
  }

  at::Tensor AttentionBlock(int layer, const TensorMap& weights,
                            const at::Tensor& x_BTD, Recorder& recorder) const {
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const at::Tensor mid_BTD =
        AddNormed(layer, x_BTD, Attention(layer, weights, x_BTD, recorder),
                  weights.at("mixer_norm.weight"), config_.norm_epsilon,
                  Point::kResidMid, recorder);
    return AddNormed(layer, mid_BTD, SwiGlu(weights, "mlp.", mid_BTD),
                     weights.at("mlp_norm.weight"), config_.norm_epsilon,
                     Point::kResidPost, recorder);
  }

  at::Tensor DeltaNet(const TensorMap& weights, const at::Tensor& n_BTD) const {
    const auto project = [&](const std::string& name) {
      return Project(weights, "linear_attn." + name, n_BTD);
    };
    const at::Tensor mixed_BTC = CausalConvolution(
        at::cat({project("q_proj"), project("k_proj"), project("v_proj")}, -1),
        weights.at("linear_attn.conv1d.weight"));
    at::Tensor beta_BHT = at::sigmoid(project("b_proj")).transpose(1, 2);
    if (config_.negative_eigenvalues) beta_BHT = beta_BHT * 2;
    const at::Tensor g_BHT =
        LogDecay(project("a_proj"), weights.at("linear_attn.A_log"),
                 weights.at("linear_attn.dt_bias"));
    return Project(
        weights, "linear_attn.o_proj",
        GatedOutput(RunDeltaRule(mixed_BTC, g_BHT, beta_BHT, config_.delta),
                    SplitHeads(project("g_proj"), config_.delta.value_heads),
                    weights.at("linear_attn.o_norm.weight"),
                    kDeltaNormEpsilon));
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const auto normed = [&](const std::string& name, const char* norm,
                            int64_t heads) {
      const at::Tensor x_BTN = Project(weights, name, x_BTD);
      const at::Tensor& weight = weights.at(norm);
      return config_.rotated ? NormedRotary(x_BTN, weight, config_.norm_epsilon,
                                            heads, config_.rope)
                             : SplitHeads(Norm(x_BTN, weight), heads);
    };
    const at::Tensor z_BHTE = RecordedAttention(
        layer,
        normed("self_attn.q_proj", "self_attn.q_norm.weight", shape().heads),
        normed("self_attn.k_proj", "self_attn.k_norm.weight", shape().kv_heads),
        ProjectHeads(weights, "self_attn.v_proj", x_BTD, shape().kv_heads),
        shape().attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  // The norm of a sub-layer, under today's name, that of before the release,
  // and OLMo-core's.
  TensorSpec NormTensor(int layer, const char* ours, const char* today,
                        const char* before, const char* core) const {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    TensorSpec spec(ours, absl::StrCat(prefix, today, ".weight"),
                    {shape().width});
    AddName(absl::StrCat(prefix, before, ".weight"), spec);
    AddName(absl::StrCat("blocks.", layer, ".", core, ".weight"), spec);
    return spec;
  }

  std::vector<TensorSpec> AttentionTensorsOf(int layer) const {
    const int64_t query = int64_t{shape().heads} * shape().head_dim;
    const int64_t key = int64_t{shape().kv_heads} * shape().head_dim;
    std::vector<TensorSpec> specs =
        ProjectionTensors(layer, shape(), config_.feed_forward);
    specs.push_back(LayerTensor(layer, "self_attn.q_norm.weight",
                                "attention.q_norm.weight", {query}));
    specs.push_back(LayerTensor(layer, "self_attn.k_norm.weight",
                                "attention.k_norm.weight", {key}));
    // transformers 5.24 renames more than it should when it saves.
    specs.push_back(NormTensor(layer, "mixer_norm.weight",
                               "post_attention_layernorm",
                               "feedforward_layer_norm", "attention_norm"));
    specs.push_back(
        NormTensor(layer, "mlp_norm.weight", "post_feedforward_layernorm",
                   "post_feedforward_layer_norm", "feed_forward_norm"));
    if (!config_.attention_bias) return specs;
    for (TensorSpec& bias : QkvBiases(layer, shape())) {
      specs.push_back(std::move(bias));
    }
    specs.push_back(OutputBias(layer, shape()));
    return specs;
  }

  std::vector<TensorSpec> DeltaTensors(int layer) const {
    const DeltaShape& delta = config_.delta;
    const int64_t width = shape().width, wide = config_.feed_forward;
    std::vector<TensorSpec> specs;
    const auto add = [&](const std::string& name, const std::string& core,
                         std::vector<int64_t> tensor_shape) {
      specs.push_back(LayerTensor(layer, "linear_attn." + name,
                                  "attention." + core,
                                  std::move(tensor_shape)));
    };
    add("q_proj.weight", "w_q.weight", {delta.keys(), width});
    add("k_proj.weight", "w_k.weight", {delta.keys(), width});
    add("v_proj.weight", "w_v.weight", {delta.values(), width});
    add("g_proj.weight", "w_g.weight", {delta.values(), width});
    add("a_proj.weight", "w_a.weight", {delta.value_heads, width});
    add("b_proj.weight", "w_b.weight", {delta.value_heads, width});
    add("A_log", "A_log", {delta.value_heads});
    add("dt_bias", "dt_bias", {delta.value_heads});
    add("o_norm.weight", "o_norm.weight", {delta.value_dim});
    add("o_proj.weight", "w_out.weight", {width, delta.values()});
    specs.push_back(ConvolutionTensor(layer));
    specs.push_back(NormTensor(layer, "mixer_norm.weight", "input_layernorm",
                               "attention_layer_norm", "attention_norm"));
    specs.push_back(NormTensor(layer, "mlp_norm.weight",
                               "post_attention_layernorm",
                               "feedforward_layer_norm", "feed_forward_norm"));
    for (const auto& [ours, core, out, in] :
         {std::tuple{"gate_proj", "w1", wide, width},
          std::tuple{"up_proj", "w3", wide, width},
          std::tuple{"down_proj", "w2", width, wide}}) {
      specs.push_back(LayerTensor(
          layer, absl::StrCat("mlp.", ours, ".weight"),
          absl::StrCat("feed_forward.", core, ".weight"), {out, in}));
    }
    return specs;
  }

  // In one tensor, or in those of q, k and v, which transformers 5.24 cuts into
  // thirds when it saves, wherever q, k and v end.
  TensorSpec ConvolutionTensor(int layer) const {
    const DeltaShape& delta = config_.delta;
    const int64_t rows = 2 * delta.keys() + delta.values();
    const int64_t third = (rows + 2) / 3;
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    TensorSpec spec("linear_attn.conv1d.weight",
                    prefix + "linear_attn.conv1d.weight",
                    {rows, 1, delta.taps});
    const auto add = [&](const std::string& before, int64_t q, int64_t k,
                         int64_t v) {
      if (v < 1) return;
      const auto part = [&](const char* name, int64_t count) {
        TensorSource source;
        source.name = absl::StrCat(before, name, "_conv1d.weight");
        source.shape = {count, 1, delta.taps};
        return source;
      };
      spec.sources.push_back(part("q", q));
      spec.sources.back().more = {part("k", k), part("v", v)};
    };
    add(prefix + "linear_attn.", delta.keys(), delta.keys(), delta.values());
    add(prefix + "linear_attn.", third, third, rows - 2 * third);
    add(absl::StrCat("blocks.", layer, ".attention."), delta.keys(),
        delta.keys(), delta.values());
    return spec;
  }

  const OlmoHybridConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeOlmoHybrid(files::Fields& config) {
  return std::make_unique<OlmoHybrid>(ReadConfig(config));
}

}  // namespace sinkwatch::model

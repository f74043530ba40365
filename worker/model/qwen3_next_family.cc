// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width; C channels, V width of a delta head's values.
#include "worker/model/qwen3_next_family.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/sigmoid.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/delta_net.h"
#include "worker/model/delta_shape.h"
#include "worker/model/layers.h"
#include "worker/model/mixture.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

class Qwen3NextLike final : public RmsDecoder {
 public:
  explicit Qwen3NextLike(Qwen3NextFamily family)
      : RmsDecoder(family.shape, family.tied), family_(std::move(family)) {}
  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = shape().width;
    PrefixedTensors tensors(absl::StrCat("model.layers.", layer, "."));
    tensors.Add("input_layernorm.weight", {width});
    tensors.Add("post_attention_layernorm.weight", {width});
    if (IsLinear(layer)) {
      AddDeltaNet(tensors);
    } else {
      AddAttention(tensors);
    }
    if (!family_.mixed[layer]) {
      AddSwiGlu("mlp.", family_.feed_forward, tensors);
      return tensors.Take();
    }
    AddSwiGlu("mlp.shared_expert.", family_.shared_width, tensors);
    tensors.AddLinear("mlp.shared_expert_gate", 1, width, false);
    std::vector<TensorSpec> specs = tensors.Take();
    for (TensorSpec& spec : MixtureTensors(layer, width, family_.mixture)) {
      specs.push_back(std::move(spec));
    }
    return specs;
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return PreNormBlock(
        layer, weights, x_BTD, recorder,
        [&](const at::Tensor& n_BTD) {
          return IsLinear(layer) ? DeltaNet(weights, n_BTD)
                                 : Attention(layer, weights, n_BTD, recorder);
        },
        [&](const at::Tensor& n_BTD) {
          return FeedForward(layer, weights, n_BTD, recorder);
        });
  }

 private:
  bool IsLinear(int layer) const {
    return shape().attention[layer].kind == AttentionKind::kNone;
  }

  void AddAttention(PrefixedTensors& tensors) const {
    const int64_t width = shape().width;
    const int64_t query = int64_t{shape().heads} * shape().head_dim;
    const int64_t key = int64_t{shape().kv_heads} * shape().head_dim;
    const bool bias = family_.attention_bias;
    tensors.AddLinear("self_attn.q_proj", 2 * query, width, bias);
    tensors.AddLinear("self_attn.k_proj", key, width, bias);
    tensors.AddLinear("self_attn.v_proj", key, width, bias);
    tensors.AddLinear("self_attn.o_proj", width, query, bias);
    tensors.Add("self_attn.q_norm.weight", {shape().head_dim});
    tensors.Add("self_attn.k_norm.weight", {shape().head_dim});
  }

  void AddDeltaNet(PrefixedTensors& tensors) const {
    const DeltaShape& delta = family_.delta;
    const int64_t width = shape().width;
    const int64_t mixed = 2 * delta.keys() + delta.values();
    const auto add = [&](const char* name, int64_t out) {
      tensors.AddLinear(absl::StrCat("linear_attn.in_proj_", name), out, width,
                        false);
    };
    if (family_.split_projections) {
      add("qkv", mixed);
      add("z", delta.values());
      add("b", delta.value_heads);
      add("a", delta.value_heads);
    } else {
      add("qkvz", mixed + delta.values());
      add("ba", 2 * delta.value_heads);
    }
    tensors.Add("linear_attn.conv1d.weight", {mixed, 1, delta.taps});
    tensors.Add("linear_attn.A_log", {delta.value_heads});
    tensors.Add("linear_attn.dt_bias", {delta.value_heads});
    tensors.Add("linear_attn.norm.weight", {delta.value_dim});
    tensors.AddLinear("linear_attn.out_proj", width, delta.values(), false);
  }

  void AddSwiGlu(const std::string& prefix, int64_t wide,
                 PrefixedTensors& tensors) const {
    const int64_t width = shape().width;
    tensors.AddLinear(prefix + "gate_proj", wide, width, false);
    tensors.AddLinear(prefix + "up_proj", wide, width, false);
    tensors.AddLinear(prefix + "down_proj", width, wide, false);
  }

  // The weight is what is added to 1.
  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNormWide(x, weight.to(at::kFloat) + 1, family_.norm_epsilon);
  }

  // The query projection has each head's query and then its gate.
  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const int64_t head_dim = shape().head_dim;
    const at::Tensor both_BHTE =
        ProjectHeads(weights, "self_attn.q_proj", n_BTD, shape().heads);
    const at::Tensor q_BHTE = Norm(both_BHTE.slice(-1, 0, head_dim),
                                   weights.at("self_attn.q_norm.weight"));
    const at::Tensor k_BGTE =
        Norm(ProjectHeads(weights, "self_attn.k_proj", n_BTD, shape().kv_heads),
             weights.at("self_attn.k_norm.weight"));
    const at::Tensor z_BHTE = GatedAttention(
        layer, RotaryEmbedding(q_BHTE, family_.rope),
        RotaryEmbedding(k_BGTE, family_.rope),
        ProjectHeads(weights, "self_attn.v_proj", n_BTD, shape().kv_heads),
        at::sigmoid(both_BHTE.slice(-1, head_dim)), shape().attention[layer],
        recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  // What a delta network is made of.
  struct DeltaInputs {
    at::Tensor mixed_BTC, gate_BTC, beta_BTH, decay_BTH;
  };

  DeltaInputs SplitInputs(const TensorMap& weights,
                          const at::Tensor& n_BTD) const {
    const auto project = [&](const char* name) {
      return Project(weights, absl::StrCat("linear_attn.in_proj_", name),
                     n_BTD);
    };
    if (family_.split_projections) {
      return {project("qkv"), project("z"), project("b"), project("a")};
    }
    return InputsByHead(project("qkvz"), project("ba"));
  }

  // Per key head, one after the other: its query, its key, and the values and
  // gates of its value heads; likewise beta and decay.
  DeltaInputs InputsByHead(const at::Tensor& qkvz_BTC,
                           const at::Tensor& ba_BTC) const {
    const DeltaShape& delta = family_.delta;
    const int64_t shared = delta.value_heads / delta.key_heads;
    const int64_t keys = delta.key_dim, values = shared * delta.value_dim;
    const auto split = [&](const at::Tensor& all_BTC) {
      return all_BTC.unflatten(
          -1, {delta.key_heads, all_BTC.size(-1) / delta.key_heads});
    };
    const auto part = [&](const at::Tensor& x, int64_t first, int64_t count) {
      return x.slice(-1, first, first + count).flatten(2);
    };
    const at::Tensor qkvz = split(qkvz_BTC), ba = split(ba_BTC);
    return {at::cat({part(qkvz, 0, keys), part(qkvz, keys, keys),
                     part(qkvz, 2 * keys, values)},
                    -1),
            part(qkvz, 2 * keys + values, values), part(ba, 0, shared),
            part(ba, shared, shared)};
  }

  at::Tensor DeltaNet(const TensorMap& weights, const at::Tensor& n_BTD) const {
    const DeltaShape& delta = family_.delta;
    const DeltaInputs in = SplitInputs(weights, n_BTD);
    const at::Tensor mixed_BTC = CausalConvolution(
        in.mixed_BTC, weights.at("linear_attn.conv1d.weight"));
    const at::Tensor beta_BHT = at::sigmoid(in.beta_BTH).transpose(1, 2);
    const at::Tensor g_BHT =
        LogDecay(in.decay_BTH, weights.at("linear_attn.A_log"),
                 weights.at("linear_attn.dt_bias"));
    return Project(weights, "linear_attn.out_proj",
                   GatedOutput(RunDeltaRule(mixed_BTC, g_BHT, beta_BHT, delta),
                               SplitHeads(in.gate_BTC, delta.value_heads),
                               weights.at("linear_attn.norm.weight"),
                               family_.norm_epsilon));
  }

  at::Tensor FeedForward(int layer, const TensorMap& weights,
                         const at::Tensor& n_BTD, Recorder& recorder) const {
    if (!family_.mixed[layer]) return SwiGlu(weights, "mlp.", n_BTD);
    return MixSwiGlu(layer, weights, family_.mixture, n_BTD, recorder) +
           at::sigmoid(Project(weights, "mlp.shared_expert_gate", n_BTD)) *
               SwiGlu(weights, "mlp.shared_expert.", n_BTD);
  }

  const Qwen3NextFamily family_;
};

}  // namespace

Qwen3NextFamily ReadQwen3NextFamily(files::Fields& config,
                                    const std::string& architecture,
                                    int64_t default_kv_heads) {
  Qwen3NextFamily qwen;
  ShapeKeys keys;
  keys.default_kv_heads = default_kv_heads;
  keys.default_head_dim = 256;
  qwen.shape = ReadShape(config, architecture, keys);
  qwen.tied = config.BoolOr("tie_word_embeddings", false);
  config.RequireString("hidden_act", "silu", "silu");
  qwen.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-6);
  qwen.attention_bias = config.BoolOr("attention_bias", false);
  RopeFamily rope;
  rope.partial_factor = 0.25;
  qwen.rope = ReadRope(config, qwen.shape, "full_attention", rope);
  const int64_t interval = config.IntOr("full_attention_interval", 1, 1024, 4);
  ReadLinearLayers(
      config, [&](int layer) { return (layer + 1) % interval != 0; },
      qwen.shape);
  qwen.delta = ReadDeltaShape(config, {16, 32, 128, 128, 4});
  qwen.mixed.assign(qwen.shape.layers, false);
  return qwen;
}

void ReadQwen3NextMixture(files::Fields& config, Qwen3NextFamily& qwen) {
  qwen.mixture.counts = ReadExpertCounts(config);
  qwen.mixture.feed_forward =
      ReadFeedForwardWidth(config, "moe_intermediate_size", 512);
  qwen.shared_width =
      ReadFeedForwardWidth(config, "shared_expert_intermediate_size", 512);
}

std::unique_ptr<Architecture> MakeQwen3NextFamily(Qwen3NextFamily family) {
  return std::make_unique<Qwen3NextLike>(std::move(family));
}

}  // namespace sinkwatch::model

// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width.
#include "worker/model/olmo2_family.h"

#include <utility>

#include "ATen/TensorOperators.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"

namespace sinkwatch::model {
namespace {

class Olmo2Like final : public RmsDecoder {
 public:
  explicit Olmo2Like(Olmo2Family family)
      : RmsDecoder(family.shape, family.tied), family_(std::move(family)) {}
  std::vector<TensorSpec> LayerTensors(int layer) const override;

  // Sub-layers read the stream as it is; what they add is normed.
  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const auto add = [&](const at::Tensor& stream_BTD,
                         const at::Tensor& added_BTD, const char* norm,
                         Point after) {
      return AddNormed(layer, stream_BTD, added_BTD, weights.at(norm),
                       family_.norm_epsilon, after, recorder);
    };
    const at::Tensor mid_BTD =
        add(x_BTD, Attention(layer, weights, x_BTD, recorder),
            "post_attention_layernorm.weight", Point::kResidMid);
    return add(mid_BTD, SwiGlu(weights, "mlp.", mid_BTD),
               "post_feedforward_layernorm.weight", Point::kResidPost);
  }

  at::Tensor LearnedSinks(int, const TensorMap& weights) const override {
    return SinksOf(weights, family_.extras);
  }

 private:
  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNormWide(x, weight, family_.norm_epsilon);
  }

  // Queries and keys are normed over the width of all heads together, before
  // these are split.
  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const auto turned = [&](const std::string& name, const char* norm,
                            int64_t heads) {
      return NormedRotary(Project(weights, name, x_BTD), weights.at(norm),
                          family_.norm_epsilon, heads, family_.ropes[layer]);
    };
    const at::Tensor z_BHTE = GatedAttention(
        layer,
        turned("self_attn.q_proj", "self_attn.q_norm.weight", shape().heads),
        turned("self_attn.k_proj", "self_attn.k_norm.weight", shape().kv_heads),
        ProjectHeads(weights, "self_attn.v_proj", x_BTD, shape().kv_heads),
        GateOf(weights, family_.extras, x_BTD, shape().heads),
        shape().attention[layer], recorder, LearnedSinks(layer, weights));
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const Olmo2Family family_;
};

std::vector<TensorSpec> Olmo2Like::LayerTensors(int layer) const {
  struct Norm {
    const char* name;
    const char* olmo;
    const char* core;
    int64_t width;
  };
  const int64_t head_dim = shape().head_dim;
  const Norm norms[] = {
      {"self_attn.q_norm.weight", "q_norm.weight", "attention.q_norm.weight",
       shape().heads * head_dim},
      {"self_attn.k_norm.weight", "k_norm.weight", "attention.k_norm.weight",
       shape().kv_heads * head_dim},
      {"post_attention_layernorm.weight", "attn_norm.weight",
       "attention_norm.weight", shape().width},
      {"post_feedforward_layernorm.weight", "ff_norm.weight",
       "feed_forward_norm.weight", shape().width},
  };
  std::vector<TensorSpec> specs =
      ProjectionTensors(layer, shape(), family_.feed_forward);
  for (const Norm& norm : norms) {
    specs.push_back(LayerTensor(layer, norm.name, norm.core, {norm.width}));
    AddOlmoName(layer, norm.olmo, specs.back());
  }
  for (TensorSpec& extra : ExtraTensors(layer, shape(), family_.extras)) {
    specs.push_back(std::move(extra));
  }
  if (family_.attention_bias) {
    for (TensorSpec& bias : QkvBiases(layer, shape())) {
      specs.push_back(std::move(bias));
    }
    specs.push_back(OutputBias(layer, shape()));
  }
  return specs;
}

}  // namespace

Olmo2Family ReadOlmo2Family(files::Fields& config,
                            const std::string& architecture) {
  Olmo2Family family;
  ReadSwiGluShape(config, architecture, family);
  family.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-5);
  family.attention_bias = config.BoolOr("attention_bias", false);
  family.extras = ReadAttentionExtras(config, family.attention_bias);
  return family;
}

std::unique_ptr<Architecture> MakeOlmo2Family(Olmo2Family family) {
  return std::make_unique<Olmo2Like>(std::move(family));
}

}  // namespace sinkwatch::model

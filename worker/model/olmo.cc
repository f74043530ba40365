// OLMo 1, as Hugging Face's OlmoForCausalLM: LayerNorm without weights before
// each sub-layer, rotary positions, clamped projections, SwiGLU.
// Checkpoints of its own trainer may have weights in the norms and scaled
// logits; these are the keys olmo.layer_norm_affine and olmo.scale_logits,
// which no config of Hugging Face has: its class takes no heed of those words.
//
// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width, F feed-forward width, V vocabulary.
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/clamp.h"
#include "ATen/ops/embedding.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

// Not a key of the config: the same in every OLMo 1.
constexpr double kNormEpsilon = 1e-5;

struct OlmoConfig : SwiGluShape {
  Rope rope;
  double clip_qkv = 0;  // 0: not clamped
  bool attention_bias = false;
  bool affine = false;
  double logit_scale = 1;
};

OlmoConfig ReadConfig(files::Fields& config) {
  OlmoConfig olmo;
  ReadSwiGluShape(config, "OlmoForCausalLM", olmo);
  olmo.rope = ReadRope(config, olmo.shape, "full_attention");
  olmo.clip_qkv = ReadClipQkv(config);
  olmo.affine = config.BoolOr("olmo.layer_norm_affine", false);
  if (config.BoolOr("olmo.scale_logits", false)) {
    olmo.logit_scale = 1 / std::sqrt(olmo.shape.width);
  }
  olmo.attention_bias = config.BoolOr("attention_bias", false);
  return olmo;
}

class Olmo final : public Architecture {
 public:
  explicit Olmo(OlmoConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {TokenTensorsOf(config_.shape, config_.tied).embedding};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    std::vector<TensorSpec> specs =
        ProjectionTensors(layer, config_.shape, config_.feed_forward);
    if (config_.attention_bias) {
      for (TensorSpec& bias : QkvBiases(layer, config_.shape)) {
        specs.push_back(std::move(bias));
      }
      specs.push_back(OutputBias(layer, config_.shape));
    }
    if (!config_.affine) return specs;
    for (const std::string norm : {"attn_norm.weight", "ff_norm.weight"}) {
      specs.push_back({norm,
                       absl::StrCat("transformer.blocks.", layer, ".", norm),
                       {config_.shape.width}});
      AddName(absl::StrCat("model.transformer.blocks.", layer, ".", norm),
              specs.back());
    }
    return specs;
  }

  std::vector<TensorSpec> HeadTensors() const override {
    std::vector<TensorSpec> specs = {
        TokenTensorsOf(config_.shape, config_.tied).output};
    if (config_.affine) specs.push_back(FinalNormTensor(config_.shape));
    return specs;
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
          return Attention(layer, weights,
                           Norm(stream_BTD, weights, "attn_norm.weight"),
                           recorder);
        },
        [&](const at::Tensor& stream_BTD) {
          return SwiGlu(weights, "mlp.",
                        Norm(stream_BTD, weights, "ff_norm.weight"));
        });
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    const at::Tensor logits_BTV =
        Linear(Norm(x_BTD, weights, "norm"), weights.at("lm_head"));
    return config_.logit_scale == 1 ? logits_BTV
                                    : logits_BTV * config_.logit_scale;
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("self_attn.o_proj.weight");
  }

 private:
  at::Tensor Norm(const at::Tensor& x, const TensorMap& weights,
                  const std::string& name) const {
    return LayerNorm(x, config_.affine ? weights.at(name) : at::Tensor(), {},
                     kNormEpsilon);
  }

  // Clamped before it is rotated.
  at::Tensor ClampedHeads(const TensorMap& weights, const std::string& name,
                          const at::Tensor& x, int heads) const {
    const at::Tensor y = ProjectHeads(weights, name, x, heads);
    return config_.clip_qkv > 0
               ? at::clamp(y, -config_.clip_qkv, config_.clip_qkv)
               : y;
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const at::Tensor q_BHTE =
        ClampedHeads(weights, "self_attn.q_proj", n_BTD, shape.heads);
    const at::Tensor k_BGTE =
        ClampedHeads(weights, "self_attn.k_proj", n_BTD, shape.kv_heads);
    const at::Tensor v_BGTE =
        ClampedHeads(weights, "self_attn.v_proj", n_BTD, shape.kv_heads);
    const at::Tensor z_BHTE =
        RecordedAttention(layer, RotaryEmbedding(q_BHTE, config_.rope),
                          RotaryEmbedding(k_BGTE, config_.rope), v_BGTE,
                          shape.attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const OlmoConfig config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeOlmo(files::Fields& config) {
  return std::make_unique<Olmo>(ReadConfig(config));
}

}  // namespace sinkwatch::model

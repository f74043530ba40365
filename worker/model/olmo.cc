// OLMo 1, as Hugging Face's OlmoForCausalLM: LayerNorm without weights before
// each sub-layer, rotary positions, clamped projections, SwiGLU.
// Checkpoints of its own trainer may have weights in the norms and scaled
// logits; these are the keys layer_norm_affine and scale_logits.
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
#include "absl/status/statusor.h"
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

absl::StatusOr<OlmoConfig> ReadConfig(const checkpoint::Config& config) {
  OlmoConfig olmo;
  absl::Status shape = ReadSwiGluShape(config, "OlmoForCausalLM", olmo);
  if (!shape.ok()) return shape;
  auto rope = ReadRope(config, olmo.shape, "full_attention");
  if (!rope.ok()) return rope.status();
  olmo.rope = *std::move(rope);
  const auto clip = ReadClipQkv(config);
  if (!clip.ok()) return clip.status();
  olmo.clip_qkv = *clip;
  const auto affine = config.BoolOr("layer_norm_affine", false);
  if (!affine.ok()) return affine.status();
  olmo.affine = *affine;
  const auto scaled = config.BoolOr("scale_logits", false);
  if (!scaled.ok()) return scaled.status();
  if (*scaled) olmo.logit_scale = 1 / std::sqrt(olmo.shape.width);
  const auto bias = config.BoolOr("attention_bias", false);
  if (!bias.ok()) return bias.status();
  olmo.attention_bias = *bias;
  return olmo;
}

class Olmo final : public Architecture {
 public:
  explicit Olmo(OlmoConfig config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {EmbeddingTensor(config_.shape)};
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
    std::vector<TensorSpec> specs = {OutputTensor(config_.shape, config_.tied)};
    if (config_.affine) specs.push_back(FinalNormTensor(config_.shape));
    return specs;
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT);
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    recorder.Record(Point::kResidPre, layer, x_BTD);
    const at::Tensor attended_BTD = Attention(
        layer, weights, Norm(x_BTD, weights, "attn_norm.weight"), recorder);
    recorder.Record(Point::kAttnOut, layer, attended_BTD);
    const at::Tensor mid_BTD = x_BTD + attended_BTD;
    recorder.Record(Point::kResidMid, layer, mid_BTD);
    const at::Tensor mlp_BTD =
        SwiGlu(weights, "mlp.", Norm(mid_BTD, weights, "ff_norm.weight"));
    recorder.Record(Point::kMlpOut, layer, mlp_BTD);
    const at::Tensor out_BTD = mid_BTD + mlp_BTD;
    recorder.Record(Point::kResidPost, layer, out_BTD);
    return out_BTD;
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

  // A projection, clamped before the heads are split and rotated.
  at::Tensor ProjectHeads(const TensorMap& weights, const std::string& name,
                          const at::Tensor& x, int heads) const {
    at::Tensor y = Project(weights, name, x);
    if (config_.clip_qkv > 0) {
      y = at::clamp(y, -config_.clip_qkv, config_.clip_qkv);
    }
    return SplitHeads(y, heads);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const at::Tensor q_BHTE =
        ProjectHeads(weights, "self_attn.q_proj", n_BTD, shape.heads);
    const at::Tensor k_BGTE =
        ProjectHeads(weights, "self_attn.k_proj", n_BTD, shape.kv_heads);
    const at::Tensor v_BGTE =
        ProjectHeads(weights, "self_attn.v_proj", n_BTD, shape.kv_heads);
    const at::Tensor z_BHTE =
        RecordedAttention(layer, RotaryEmbedding(q_BHTE, config_.rope),
                          RotaryEmbedding(k_BGTE, config_.rope), v_BGTE,
                          shape.attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const OlmoConfig config_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> MakeOlmo(
    const checkpoint::Config& config) {
  auto olmo = ReadConfig(config);
  if (!olmo.ok()) return olmo.status();
  return std::make_unique<Olmo>(*std::move(olmo));
}

}  // namespace sinkwatch::model

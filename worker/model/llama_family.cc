// B sequences, T tokens, D width, H query heads, G key/value heads, E head
// width.
#include "worker/model/llama_family.h"

#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "absl/strings/str_cat.h"
#include "worker/model/layers.h"
#include "worker/model/megatron_names.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"

namespace sinkwatch::model {
namespace {

class LlamaLike final : public RmsDecoder {
 public:
  explicit LlamaLike(LlamaFamily family)
      : RmsDecoder(family.shape, family.tied), family_(std::move(family)) {}
  std::vector<TensorSpec> LayerTensors(int layer) const override;

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return PreNormBlock(
        layer, weights, x_BTD, recorder,
        [&](const at::Tensor& n_BTD) {
          return Attention(layer, weights, n_BTD, recorder);
        },
        [&](const at::Tensor& n_BTD) {
          return FeedForward(layer, weights, n_BTD, recorder);
        });
  }

  at::Tensor LearnedSinks(int, const TensorMap& weights) const override {
    return SinksOf(weights, family_.extras);
  }

 private:
  // Meta's names, for a model without options but norms of heads: torchtitan
  // has these names for Qwen 3 too, with the rows as Hugging Face has them.
  void AddMetaNames(int layer, std::vector<TensorSpec>& specs) const;
  void AddRotated(const std::string& name, int64_t heads,
                  TensorSpec& spec) const {
    if (family_.head_norms) return AddName(name, spec);
    AddRotaryPairs(name, heads, spec);
  }

  // torchtitan's q, k and v in one matrix, by group of heads, if the tensor is
  // one of them.
  void AddFused(const std::string& name, TensorSpec& spec) const;

  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNorm(x, weight, family_.norm_epsilon);
  }

  at::Tensor FeedForward(int layer, const TensorMap& weights,
                         const at::Tensor& n_BTD, Recorder& recorder) const {
    return family_.IsMixed(layer)
               ? MixSwiGlu(layer, weights, family_.mixture, n_BTD, recorder)
               : SwiGlu(weights, "mlp.", n_BTD);
  }

  at::Tensor Rotated(int layer, const at::Tensor& x_BHTE) const {
    return family_.IsRotated(layer) ? RotaryEmbedding(x_BHTE, family_.rope)
                                    : x_BHTE;
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    at::Tensor q_BHTE =
        ProjectHeads(weights, "self_attn.q_proj", n_BTD, shape().heads);
    at::Tensor k_BGTE =
        ProjectHeads(weights, "self_attn.k_proj", n_BTD, shape().kv_heads);
    const at::Tensor v_BGTE =
        ProjectHeads(weights, "self_attn.v_proj", n_BTD, shape().kv_heads);
    if (family_.head_norms) {
      q_BHTE = Norm(q_BHTE, weights.at("self_attn.q_norm.weight"));
      k_BGTE = Norm(k_BGTE, weights.at("self_attn.k_norm.weight"));
    }
    const at::Tensor z_BHTE = GatedAttention(
        layer, Rotated(layer, q_BHTE), Rotated(layer, k_BGTE), v_BGTE,
        GateOf(weights, family_.extras, n_BTD, shape().heads),
        shape().attention[layer], recorder, LearnedSinks(layer, weights));
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTE));
  }

  const LlamaFamily family_;
};

void Append(std::vector<TensorSpec> more, std::vector<TensorSpec>& specs) {
  for (TensorSpec& spec : more) specs.push_back(std::move(spec));
}

std::vector<TensorSpec> LlamaLike::LayerTensors(int layer) const {
  const bool mixed = family_.IsMixed(layer);
  std::vector<TensorSpec> specs =
      mixed ? AttentionTensors(layer, shape())
            : ProjectionTensors(layer, shape(), family_.feed_forward);
  if (mixed) {
    Append(MixtureTensors(layer, shape().width, family_.mixture), specs);
  }
  specs.push_back(LayerTensor(layer, "input_layernorm.weight",
                              "attention_norm.weight", {shape().width}));
  AddOlmoName(layer, "attn_norm.weight", specs.back());
  specs.push_back(LayerTensor(layer, "post_attention_layernorm.weight",
                              "feed_forward_norm.weight", {shape().width}));
  AddOlmoName(layer, "ff_norm.weight", specs.back());
  const bool plain = !family_.qkv_bias && !family_.output_bias &&
                     !family_.mlp_bias && !family_.extras.any() &&
                     (!mixed || family_.head_norms);
  if (family_.head_norms) {
    for (const std::string norm : {"q_norm.weight", "k_norm.weight"}) {
      specs.push_back(LayerTensor(layer, "self_attn." + norm,
                                  "attention." + norm, {shape().head_dim}));
    }
  }
  if (plain) AddMetaNames(layer, specs);
  Append(ExtraTensors(layer, shape(), family_.extras), specs);
  if (family_.qkv_bias) Append(QkvBiases(layer, shape()), specs);
  if (family_.output_bias) specs.push_back(OutputBias(layer, shape()));
  if (family_.mlp_bias) {
    Append(MlpBiases(layer, shape(), family_.feed_forward), specs);
  }
  if (family_.extras.any()) return specs;
  AddMegatronNames(layer, shape(), family_.feed_forward, specs);
  if (mixed) AddMegatronMixtureNames(layer, shape(), family_.mixture, specs);
  return specs;
}

void LlamaLike::AddMetaNames(int layer, std::vector<TensorSpec>& specs) const {
  struct Name {
    const char* ours;
    const char* meta;
  };
  constexpr Name kStoredAsTheyAre[] = {
      {"self_attn.v_proj.weight", "attention.wv.weight"},
      {"self_attn.v_proj.weight", "attention.qkv_linear.wv.weight"},
      {"self_attn.o_proj.weight", "attention.wo.weight"},
      {"mlp.gate_proj.weight", "feed_forward.w1.weight"},
      {"mlp.down_proj.weight", "feed_forward.w2.weight"},
      {"mlp.up_proj.weight", "feed_forward.w3.weight"},
      {"input_layernorm.weight", "attention_norm.weight"},
      {"post_attention_layernorm.weight", "ffn_norm.weight"},
      {"self_attn.q_norm.weight", "attention.q_norm.weight"},
      {"self_attn.k_norm.weight", "attention.k_norm.weight"},
  };
  const std::string prefix = absl::StrCat("layers.", layer, ".");
  for (TensorSpec& spec : specs) {
    for (const Name& name : kStoredAsTheyAre) {
      if (spec.name == name.ours) AddName(prefix + name.meta, spec);
    }
    AddFused(prefix + "attention.qkv_linear.wqkv.weight", spec);
    for (const std::string part : {"attention.", "attention.qkv_linear."}) {
      if (spec.name == "self_attn.q_proj.weight") {
        AddRotated(prefix + part + "wq.weight", shape().heads, spec);
      } else if (spec.name == "self_attn.k_proj.weight") {
        AddRotated(prefix + part + "wk.weight", shape().kv_heads, spec);
      }
    }
  }
}

void LlamaLike::AddFused(const std::string& name, TensorSpec& spec) const {
  const int64_t groups = shape().kv_heads, dim = shape().head_dim;
  const int64_t shared = shape().heads / groups;
  struct Part {
    const char* ours;
    int64_t first, heads;
    bool rotated;
  };
  for (const Part& part :
       {Part{"self_attn.q_proj.weight", 0, shared, true},
        Part{"self_attn.k_proj.weight", shared, 1, true},
        Part{"self_attn.v_proj.weight", shared + 1, 1, false}}) {
    if (spec.name != part.ours) continue;
    TensorSource fused{name, {groups * (shared + 2) * dim, shape().width}};
    fused.first_row = part.first * dim;
    fused.runs = groups;
    fused.run_stride = (shared + 2) * dim;
    if (part.rotated && !family_.head_norms) {
      fused.arrangement = Arrangement::kRotaryPairs;
      fused.heads = groups * part.heads;
    }
    spec.sources.push_back(std::move(fused));
  }
}

}  // namespace

LlamaFamily ReadLlamaFamily(files::Fields& config,
                            const std::string& architecture,
                            const LlamaDefaults& defaults) {
  LlamaFamily family;
  ReadSwiGluShape(config, architecture, family, defaults.shape);
  family.norm_epsilon = config.PositiveOr("rms_norm_eps", defaults.epsilon);
  family.rope = ReadRope(config, family.shape, "full_attention", defaults.rope);
  return family;
}

std::unique_ptr<Architecture> MakeLlamaFamily(LlamaFamily family) {
  return std::make_unique<LlamaLike>(std::move(family));
}

}  // namespace sinkwatch::model

// B sequences, T tokens, D width, H heads, E width of a head's queries and keys
// (P plain, R rotated), V of its values, N = B*T, X experts, K chosen, G
// groups.
#include "worker/model/mla_family.h"

#include <cmath>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/ones_like.h"
#include "ATen/ops/sigmoid.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/topk.h"
#include "absl/strings/str_cat.h"
#include "worker/model/layers.h"
#include "worker/model/megatron_names.h"
#include "worker/model/naming.h"
#include "worker/model/rms_decoder.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kMaxRank = int64_t{1} << 17;

// Which experts are of the groups that are not chosen: [N,X].
at::Tensor OutsideChosen(const at::Tensor& groups_NG, int64_t chosen,
                         int64_t experts) {
  const at::Tensor best = std::get<1>(at::topk(groups_NG, chosen, -1));
  const at::Tensor outside_NG =
      at::ones_like(groups_NG).scatter(1, best, 0).to(at::kBool);
  return outside_NG.repeat_interleave(experts / groups_NG.size(1), 1);
}

class Mla final : public RmsDecoder {
 public:
  explicit Mla(MlaFamily family)
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

  // [D, H*V]: values have a width of their own.
 private:
  bool IsDense(int layer) const { return layer < family_.dense_layers; }

  void AddAttention(PrefixedTensors& tensors) const;
  void AddOtherNames(int layer, std::vector<TensorSpec>& specs) const;

  at::Tensor Norm(const at::Tensor& x,
                  const at::Tensor& weight) const override {
    return RmsNorm(x, weight, family_.norm_epsilon);
  }

  // The norms of the small vectors have Hugging Face's default instead of the
  // config's.
  static at::Tensor NormOfRank(const TensorMap& weights,
                               const std::string& name, const at::Tensor& x) {
    return RmsNorm(x, weights.at(name + ".weight"), 1e-6);
  }

  at::Tensor Rotated(const at::Tensor& x_BHTR) const {
    if (!family_.pairs_side_by_side) {
      return RotaryEmbedding(x_BHTR, family_.rope);
    }
    return RotaryEmbedding(x_BHTR.unflatten(-1, {family_.rotated / 2, 2})
                               .transpose(-1, -2)
                               .flatten(-2),
                           family_.rope);
  }

  at::Tensor Queries(const TensorMap& weights, const at::Tensor& n_BTD) const {
    if (family_.query_rank == 0) {
      return Project(weights, "self_attn.q_proj", n_BTD);
    }
    return Project(weights, "self_attn.q_b_proj",
                   NormOfRank(weights, "self_attn.q_a_layernorm",
                              Project(weights, "self_attn.q_a_proj", n_BTD)));
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& n_BTD, Recorder& recorder) const {
    const int64_t plain = family_.plain, rank = family_.key_value_rank;
    const at::Tensor q_BHTE =
        SplitHeads(Queries(weights, n_BTD), shape().heads);
    const at::Tensor small_BTC =
        Project(weights, "self_attn.kv_a_proj_with_mqa", n_BTD);
    const at::Tensor turned_B1TR =
        Rotated(small_BTC.slice(-1, rank).unsqueeze(1));
    const at::Tensor kv_BHTC =
        SplitHeads(Project(weights, "self_attn.kv_b_proj",
                           NormOfRank(weights, "self_attn.kv_a_layernorm",
                                      small_BTC.slice(-1, 0, rank))),
                   shape().heads);
    const at::Tensor k_BHTE =
        at::cat({kv_BHTC.slice(-1, 0, plain),
                 turned_B1TR.expand({-1, shape().heads, -1, -1})},
                -1);
    const at::Tensor z_BHTV = RecordedAttention(
        layer,
        at::cat({q_BHTE.slice(-1, 0, plain), Rotated(q_BHTE.slice(-1, plain))},
                -1),
        k_BHTE, kv_BHTC.slice(-1, plain), shape().attention[layer], recorder);
    return Project(weights, "self_attn.o_proj", MergeHeads(z_BHTV));
  }

  at::Tensor FeedForward(int layer, const TensorMap& weights,
                         const at::Tensor& n_BTD, Recorder& recorder) const {
    if (IsDense(layer)) return SwiGlu(weights, "mlp.", n_BTD);
    const at::Tensor n_ND = n_BTD.flatten(0, 1);
    const Routing routing = Route(weights, n_ND);
    RecordRouting(layer, routing, n_BTD, recorder);
    const at::Tensor mixed_ND =
        MixSwiGlu(weights, family_.mixture, routing, n_ND);
    return mixed_ND.view_as(n_BTD) +
           SwiGlu(weights, "mlp.shared_experts.", n_BTD);
  }

  Routing Route(const TensorMap& weights, const at::Tensor& n_ND) const {
    const at::Tensor logits_NX = Linear(
        n_ND.to(at::kFloat), weights.at("mlp.gate.weight").to(at::kFloat));
    const int64_t experts = family_.mixture.counts.experts;
    const bool sigmoid = family_.router == RouterKind::kSigmoidTopTwoOfGroups;
    const at::Tensor score_NX =
        sigmoid ? at::sigmoid(logits_NX) : at::softmax(logits_NX, -1);
    at::Tensor choice_NX = score_NX;
    if (sigmoid) {
      choice_NX = score_NX +
                  weights.at("mlp.gate.e_score_correction_bias").to(at::kFloat);
    }
    if (family_.router != RouterKind::kSoftmax) {
      const at::Tensor grouped_NGX =
          choice_NX.unflatten(-1, {family_.groups, experts / family_.groups});
      const at::Tensor group_NG =
          sigmoid ? std::get<0>(at::topk(grouped_NGX, 2, -1)).sum(-1)
                  : grouped_NGX.amax(-1);
      choice_NX = choice_NX.masked_fill(
          OutsideChosen(group_NG, family_.chosen_groups, experts),
          sigmoid ? -std::numeric_limits<float>::infinity() : 0);
    }
    const at::Tensor expert_NK =
        std::get<1>(at::topk(choice_NX, family_.mixture.counts.chosen, -1));
    at::Tensor weight_NK = score_NX.gather(-1, expert_NK);
    if (family_.mixture.renormalised) {
      weight_NK = weight_NK / (weight_NK.sum(-1, /*keepdim=*/true) + 1e-20);
    }
    return {expert_NK,
            (weight_NK * family_.routed_scale).to(n_ND.scalar_type()),
            score_NX};
  }

  const MlaFamily family_;
};

void Mla::AddAttention(PrefixedTensors& tensors) const {
  const int64_t width = shape().width, heads = shape().heads;
  const int64_t query = heads * shape().head_dim;
  const int64_t rank = family_.query_rank, small = family_.key_value_rank;
  const bool bias = family_.attention_bias;
  if (rank == 0) {
    tensors.AddLinear("self_attn.q_proj", query, width, false);
  } else {
    tensors.AddLinear("self_attn.q_a_proj", rank, width, bias);
    tensors.Add("self_attn.q_a_layernorm.weight", {rank});
    tensors.AddLinear("self_attn.q_b_proj", query, rank, false);
  }
  tensors.AddLinear("self_attn.kv_a_proj_with_mqa", small + family_.rotated,
                    width, bias);
  tensors.Add("self_attn.kv_a_layernorm.weight", {small});
  tensors.AddLinear("self_attn.kv_b_proj",
                    heads * (family_.plain + family_.value_dim), small, false);
  tensors.AddLinear("self_attn.o_proj", width, heads * family_.value_dim, bias);
}

std::vector<TensorSpec> Mla::LayerTensors(int layer) const {
  const int64_t width = shape().width;
  PrefixedTensors tensors(absl::StrCat("model.layers.", layer, "."));
  const auto add_swiglu = [&](const std::string& prefix, int64_t wide) {
    tensors.AddLinear(prefix + "gate_proj", wide, width, false);
    tensors.AddLinear(prefix + "up_proj", wide, width, false);
    tensors.AddLinear(prefix + "down_proj", width, wide, false);
  };
  tensors.Add("input_layernorm.weight", {width});
  AddAttention(tensors);
  tensors.Add("post_attention_layernorm.weight", {width});
  if (IsDense(layer)) {
    add_swiglu("mlp.", family_.feed_forward);
    std::vector<TensorSpec> specs = tensors.Take();
    AddOtherNames(layer, specs);
    return specs;
  }
  add_swiglu("mlp.shared_experts.",
             family_.shared_experts * family_.mixture.feed_forward);
  if (family_.router == RouterKind::kSigmoidTopTwoOfGroups) {
    tensors.Add("mlp.gate.e_score_correction_bias",
                {family_.mixture.counts.experts});
  }
  std::vector<TensorSpec> specs = tensors.Take();
  for (TensorSpec& spec : MixtureTensors(layer, width, family_.mixture)) {
    specs.push_back(std::move(spec));
  }
  AddOtherNames(layer, specs);
  return specs;
}

// torchtitan's (torchtitan/models/deepseek_v3), whose rows are Hugging Face's.
void AddTorchtitanNames(int layer, std::vector<TensorSpec>& specs) {
  struct Name {
    const char* ours;
    const char* titan;
  };
  constexpr Name kNames[] = {
      {"input_layernorm.weight", "attention_norm.weight"},
      {"self_attn.q_proj.weight", "attention.wq.weight"},
      {"self_attn.q_a_proj.weight", "attention.wq_a.weight"},
      {"self_attn.q_a_layernorm.weight", "attention.q_norm.weight"},
      {"self_attn.q_b_proj.weight", "attention.wq_b.weight"},
      {"self_attn.kv_a_proj_with_mqa.weight", "attention.wkv_a.weight"},
      {"self_attn.kv_a_layernorm.weight", "attention.kv_norm.weight"},
      {"self_attn.kv_b_proj.weight", "attention.wkv_b.weight"},
      {"self_attn.o_proj.weight", "attention.wo.weight"},
      {"post_attention_layernorm.weight", "ffn_norm.weight"},
      {"mlp.gate_proj.weight", "feed_forward.w1.weight"},
      {"mlp.up_proj.weight", "feed_forward.w3.weight"},
      {"mlp.down_proj.weight", "feed_forward.w2.weight"},
      {"mlp.shared_experts.gate_proj.weight", "moe.shared_experts.w1.weight"},
      {"mlp.shared_experts.up_proj.weight", "moe.shared_experts.w3.weight"},
      {"mlp.shared_experts.down_proj.weight", "moe.shared_experts.w2.weight"},
      {"mlp.gate.e_score_correction_bias", "moe.expert_bias"},
      {"mlp.gate.e_score_correction_bias", "moe.expert_bias_E"},
  };
  for (TensorSpec& spec : specs) {
    for (const Name& name : kNames) {
      if (spec.name != name.ours) continue;
      AddName(absl::StrCat("layers.", layer, ".", name.titan), spec);
    }
  }
}

void Mla::AddOtherNames(int layer, std::vector<TensorSpec>& specs) const {
  if (family_.attention_bias) return;
  if (family_.mixture.of_torchtitan) AddTorchtitanNames(layer, specs);
  AddMegatronMlaNames(layer, shape(), family_.feed_forward,
                      family_.shared_experts * family_.mixture.feed_forward,
                      specs);
  if (!IsDense(layer)) {
    AddMegatronMixtureNames(layer, shape(), family_.mixture, specs);
  }
}

// Widths of a head's parts, and what follows of them.
void ReadHead(files::Fields& config, MlaFamily& family) {
  family.plain = config.IntOr("qk_nope_head_dim", 1, kMaxRank, 128);
  family.rotated = config.IntOr("qk_rope_head_dim", 2, kMaxRank, 64);
  family.value_dim = config.IntOr("v_head_dim", 1, kMaxRank, 128);
  family.shape.head_dim = static_cast<int>(family.plain + family.rotated);
  if (family.shape.kv_heads != family.shape.heads) {
    config.Unsupported(absl::StrCat("num_key_value_heads ",
                                    family.shape.kv_heads, " beside ",
                                    family.shape.heads, " heads"));
  }
  RopeFamily rope;
  rope.has_mscale = true;
  rope.rotated_head = family.rotated;
  family.rope = ReadRope(config, family.shape, "full_attention", rope);
  for (AttentionShape& layer : family.shape.attention) {
    layer.scale = family.rope.logit_factor /
                  std::sqrt(static_cast<double>(family.shape.head_dim));
  }
}

}  // namespace

MlaFamily ReadMlaFamily(files::Fields& config,
                        const std::string& architecture) {
  MlaFamily family;
  ShapeKeys keys;
  keys.head_dim = nullptr;  // transformers writes the rotated part's there
  family.shape = ReadShape(config, architecture, keys);
  family.feed_forward = ReadFeedForwardWidth(config);
  family.tied = config.BoolOr("tie_word_embeddings", false);
  config.RequireString("hidden_act", "silu", "silu");
  config.RequireBool("mlp_bias", false, false);
  family.norm_epsilon = config.PositiveOr("rms_norm_eps", 1e-6);
  family.attention_bias = config.BoolOr("attention_bias", false);
  family.key_value_rank = config.IntOr("kv_lora_rank", 1, kMaxRank, 512);
  family.query_rank = config.IntOr("q_lora_rank", 1, kMaxRank,
                                   config.IsNull("q_lora_rank") ? 0 : 1536);
  ReadHead(config, family);
  family.mixture.counts = ReadExpertCounts(config);
  family.shared_experts = config.Int("n_shared_experts", 1, 1024);
  family.mixture.feed_forward =
      ReadFeedForwardWidth(config, "moe_intermediate_size", 1);
  config.RequireNumber("moe_layer_freq", 1, 1);
  return family;
}

void ReadGroups(files::Fields& config, MlaFamily& family) {
  const int64_t experts = family.mixture.counts.experts;
  family.groups = config.Int("n_group", 1, experts);
  family.chosen_groups = config.Int("topk_group", 1, family.groups);
  if (experts % family.groups != 0) {
    config.Contradiction(absl::StrCat(experts, " experts are no multiple of ",
                                      family.groups, " groups (n_group)"));
    family.groups = 1;
  }
  // Else experts of groups that are not chosen are chosen too, in an order and
  // with a weight that no formula says.
  const int64_t within = experts / family.groups * family.chosen_groups;
  if (family.mixture.counts.chosen > within) {
    config.Contradiction(
        absl::StrCat("num_experts_per_tok ", family.mixture.counts.chosen,
                     " of the ", within, " in topk_group of n_group groups"));
  }
}

std::unique_ptr<Architecture> MakeMlaFamily(MlaFamily family) {
  return std::make_unique<Mla>(std::move(family));
}

}  // namespace sinkwatch::model

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/stack.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

constexpr int kLayers = 2;
constexpr int kHeads = 4;
constexpr int kGroups = 2;
constexpr int kHeadDim = 4;
constexpr int kWidth = kHeads * kHeadDim;
constexpr int kExperts = 3;
constexpr int kChosen = 2;
constexpr double kTheta = 500.0;

nlohmann::json Config() {
  return {{"model_type", "olmoe"},
          {"architectures", {"OlmoeForCausalLM"}},
          {"hidden_size", kWidth},
          {"intermediate_size", 6},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"num_key_value_heads", kGroups},
          {"num_experts", kExperts},
          {"num_experts_per_tok", kChosen},
          {"vocab_size", 11},
          {"rope_theta", kTheta}};
}

// OLMoE from its code, one sequence in float64.
struct PlainOlmoe {
  bool renormalised = false;
  double clip = 1e9;

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    Matrix x = PlainLookUp(weights.at("model.embed_tokens.weight"), ids);
    for (int layer = 0; layer < kLayers; ++layer) {
      const std::string prefix = absl::StrCat("model.layers.", layer, ".");
      x = Add(x, Attention(weights, prefix, x));
      x = Add(x,
              Mixture(weights, prefix,
                      Norm(weights, prefix + "post_attention_layernorm", x)));
    }
    return Project(weights, "lm_head", Norm(weights, "model.norm", x));
  }

  static Matrix Norm(const PlainWeights& weights, const std::string& name,
                     const Matrix& x) {
    return PlainRmsNorm(x, weights.at(name + ".weight"), 1e-5);
  }

  static Matrix Project(const PlainWeights& weights, const std::string& name,
                        const Matrix& x) {
    return PlainLinear(x, weights.at(name + ".weight"));
  }

  Matrix Attention(const PlainWeights& weights, const std::string& prefix,
                   const Matrix& x) const {
    const Matrix n = Norm(weights, prefix + "input_layernorm", x);
    const std::string self = prefix + "self_attn.";
    const Matrix q =
        Norm(weights, self + "q_norm", Project(weights, self + "q_proj", n));
    const Matrix k =
        Norm(weights, self + "k_norm", Project(weights, self + "k_proj", n));
    const Matrix v = Project(weights, self + "v_proj", n);
    AttentionShape shape;
    shape.scale = 1 / std::sqrt(double{kHeadDim});
    return Project(weights, self + "o_proj",
                   PlainAttention(PlainRotary(Clip(q, clip), kHeads, kTheta),
                                  PlainRotary(Clip(k, clip), kGroups, kTheta),
                                  Clip(v, clip), kHeads, kGroups, shape));
  }

  Matrix Mixture(const PlainWeights& weights, const std::string& prefix,
                 const Matrix& x) const {
    const Matrix logits = Project(weights, prefix + "mlp.gate", x);
    std::vector<Matrix> outputs;
    for (int e = 0; e < kExperts; ++e) {
      const std::string expert = absl::StrCat(prefix, "mlp.experts.", e, ".");
      outputs.push_back(Project(
          weights, expert + "down_proj",
          Multiply(Map(Project(weights, expert + "gate_proj", x), PlainSilu),
                   Project(weights, expert + "up_proj", x))));
    }
    Matrix mixed(x.rows, x.columns);
    for (int64_t t = 0; t < x.rows; ++t) {
      double all = 0, chosen = 0;
      std::vector<int> order(kExperts);
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(),
                [&](int a, int b) { return logits(t, a) > logits(t, b); });
      for (int e = 0; e < kExperts; ++e) {
        all += std::exp(logits(t, order[e]));
        if (e < kChosen) chosen += std::exp(logits(t, order[e]));
      }
      for (int slot = 0; slot < kChosen; ++slot) {
        const double weight =
            std::exp(logits(t, order[slot])) / (renormalised ? chosen : all);
        for (int64_t i = 0; i < x.columns; ++i) {
          mixed(t, i) += weight * outputs[order[slot]](t, i);
        }
      }
    }
    return mixed;
  }
};

TEST(OlmoeTest, ForwardEqualsThePlainOneWithBothWeightings) {
  for (bool renormalised : {false, true}) {
    SCOPED_TRACE(renormalised);
    nlohmann::json config = Config();
    config["norm_topk_prob"] = renormalised;
    PlainOlmoe plain;
    plain.renormalised = renormalised;
    ExpectForwardEquals(config, plain);
  }
}

// After the norms of q and k: these would undo a clip before them.
TEST(OlmoeTest, ClippedProjectionsEqualThePlainOnes) {
  nlohmann::json config = Config();
  config["clip_qkv"] = 0.75;
  PlainOlmoe plain;
  plain.clip = 0.75;
  ExpectForwardEquals(config, plain);
}

TEST(OlmoeTest, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(), "model.layers.0.mlp.gate.weight",
                       PlainOlmoe());
}

// What OLMo's converter to Hugging Face does, the other way round.
Weights NativeOf(const Weights& weights) {
  Weights native = {
      {"transformer.wte.weight", weights.at("model.embed_tokens.weight")},
      {"transformer.ln_f.weight", weights.at("model.norm.weight")},
      {"transformer.ff_out.weight", weights.at("lm_head.weight")}};
  for (int layer = 0; layer < kLayers; ++layer) {
    const auto hf = [&](const std::string& name) {
      return weights.at(
          absl::StrCat("model.layers.", layer, ".", name, ".weight"));
    };
    const auto store = [&](const std::string& name, const at::Tensor& tensor) {
      native[absl::StrCat("transformer.blocks.", layer, ".", name)] = tensor;
    };
    store("attn_norm.weight", hf("input_layernorm"));
    store("att_proj.weight",
          at::cat({hf("self_attn.q_proj"), hf("self_attn.k_proj"),
                   hf("self_attn.v_proj")}));
    store("q_norm.weight", hf("self_attn.q_norm"));
    store("k_norm.weight", hf("self_attn.k_norm"));
    store("attn_out.weight", hf("self_attn.o_proj"));
    store("ff_norm.weight", hf("post_attention_layernorm"));
    store("ffn.router.layer.weight", hf("mlp.gate"));
    std::vector<at::Tensor> gate, up, down;
    for (int e = 0; e < kExperts; ++e) {
      const std::string expert = absl::StrCat("mlp.experts.", e, ".");
      gate.push_back(hf(expert + "gate_proj"));
      up.push_back(hf(expert + "up_proj"));
      down.push_back(hf(expert + "down_proj").t());
    }
    store("ffn.experts.mlp.w1", at::cat(gate));
    store("ffn.experts.mlp.v1", at::cat(up));
    store("ffn.experts.mlp.w2", at::cat(down));
  }
  return native;
}

TEST(OlmoeTest, TheTrainersOwnNamesGiveTheSameLogits) {
  const auto olmoe = CreateFrom(Config());
  const Weights weights = RandomWeights(*olmoe, 1);
  const at::Tensor tokens_BT = RandomTokens(2, 5, 11, 2);
  EXPECT_TRUE(Forward(*olmoe, NativeOf(weights), tokens_BT)
                  .equal(Forward(*olmoe, weights, tokens_BT)));
}

TEST(OlmoeTest, StackedExpertsGiveTheSameLogits) {
  const auto olmoe = CreateFrom(Config());
  const Weights weights = RandomWeights(*olmoe, 1);
  Weights stacked;
  for (const auto& [name, tensor] : weights) {
    if (name.find(".experts.") == std::string::npos) stacked[name] = tensor;
  }
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string prefix =
        absl::StrCat("model.layers.", layer, ".mlp.experts.");
    std::vector<at::Tensor> gate_up, down;
    for (int e = 0; e < kExperts; ++e) {
      const auto part = [&](const char* name) {
        return weights.at(absl::StrCat(prefix, e, ".", name, ".weight"));
      };
      gate_up.push_back(at::cat({part("gate_proj"), part("up_proj")}));
      down.push_back(part("down_proj"));
    }
    stacked[prefix + "gate_up_proj"] = at::stack(gate_up);
    stacked[prefix + "down_proj"] = at::stack(down);
  }
  const at::Tensor tokens_BT = RandomTokens(2, 5, 11, 2);
  EXPECT_TRUE(Forward(*olmoe, stacked, tokens_BT)
                  .equal(Forward(*olmoe, weights, tokens_BT)));
}

TEST(OlmoeTest, RecorderSeesEveryPointOnce) {
  const auto olmoe = CreateFrom(Config());
  KeepingRecorder recorder;
  Forward(*olmoe, RandomWeights(*olmoe, 1), RandomTokens(3, 5, 11, 2),
          recorder);
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(recorder.seen.size(), kLayers * 11u);
  EXPECT_EQ(recorder.ShapeOf(1, Point::kRouterScores), (Shape{3, 5, kExperts}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kExperts), (Shape{3, 5, kChosen}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kMlpOut), (Shape{3, 5, kWidth}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kQ), (Shape{3, kHeads, 5, kHeadDim}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kK), (Shape{3, kGroups, 5, kHeadDim}));
}

}  // namespace
}  // namespace sinkwatch::model

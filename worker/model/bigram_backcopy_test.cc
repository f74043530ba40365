#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

constexpr int kLayers = 3;
constexpr int kHeads = 2;
constexpr int kHeadDim = 5;
constexpr int kWidth = kHeads * kHeadDim;
constexpr double kEpsilon = 1e-2;

nlohmann::json Config() {
  return {{"architectures", {"BigramBackcopyForCausalLM"}},
          {"hidden_size", kWidth},
          {"intermediate_size", 14},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"vocab_size", 11},
          {"max_position_embeddings", 9},
          {"layer_norm_eps", kEpsilon}};
}

// The paper's toy model, one sequence in float64. Sub-layers without weights
// are not there.
class PlainToy {
 public:
  explicit PlainToy(AttentionKind kind) { shape_.kind = kind; }

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    std::vector<int64_t> positions;
    for (size_t t = 0; t < ids.size(); ++t) {
      positions.push_back(static_cast<int64_t>(t));
    }
    Matrix x =
        Add(PlainLookUp(weights.at("model.embed_tokens.weight"), ids),
            PlainLookUp(weights.at("model.embed_positions.weight"), positions));
    for (int layer = 0; layer < kLayers; ++layer) x = Block(layer, weights, x);
    return PlainLinear(Norm(weights, "model.norm", x),
                       weights.at("lm_head.weight"));
  }

 private:
  static Matrix Norm(const PlainWeights& weights, const std::string& name,
                     const Matrix& x) {
    return PlainLayerNorm(x, &weights.at(name + ".weight"),
                          &weights.at(name + ".bias"), kEpsilon);
  }

  Matrix Block(int layer, const PlainWeights& weights, Matrix x) const {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    const auto project = [&](const std::string& name, const Matrix& input) {
      return PlainLinear(input, weights.at(prefix + name + ".weight"));
    };
    if (weights.count(prefix + "attention.q_proj.weight") > 0) {
      const Matrix n = Norm(weights, prefix + "attention_norm", x);
      AttentionShape shape = shape_;
      shape.scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
      const Matrix z = PlainAttention(
          project("attention.q_proj", n), project("attention.k_proj", n),
          project("attention.v_proj", n), kHeads, kHeads, shape);
      x = Add(x, project("attention.o_proj", z));
    }
    if (weights.count(prefix + "mlp.up_proj.weight") > 0) {
      const Matrix n = Norm(weights, prefix + "mlp_norm", x);
      x = Add(x, project("mlp.down_proj",
                         Map(project("mlp.up_proj", n), PlainRelu)));
    }
    return x;
  }

  AttentionShape shape_;
};

TEST(BigramBackcopyTest, ForwardEqualsThePlainOne) {
  ExpectForwardEquals(Config(), PlainToy(AttentionKind::kSoftmax));
}

TEST(BigramBackcopyTest, ForwardWithReluAttentionEqualsThePlainOne) {
  nlohmann::json config = Config();
  config["attention_kind"] = "relu";
  ExpectForwardEquals(config, PlainToy(AttentionKind::kRelu));
}

TEST(BigramBackcopyTest, LayersWithoutAttentionOrMlpEqualThePlainOnes) {
  nlohmann::json config = Config();
  config["layer_attention"] = {true, false, false};
  config["layer_mlp"] = {false, true, false};
  ExpectForwardEquals(config, PlainToy(AttentionKind::kSoftmax));
}

TEST(BigramBackcopyTest, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(), "model.layers.0.attention.q_proj.weight",
                       PlainToy(AttentionKind::kSoftmax));
}

TEST(BigramBackcopyTest, GradientsFlowThroughReluAttention) {
  nlohmann::json config = Config();
  config["attention_kind"] = "relu";
  ExpectGradientEquals(config, "model.layers.1.attention.k_proj.weight",
                       PlainToy(AttentionKind::kRelu));
}

TEST(BigramBackcopyTest, AbsentPartsRecordNothing) {
  nlohmann::json config = Config();
  config["layer_attention"] = {true, false, true};
  config["layer_mlp"] = {true, true, false};
  const auto toy = CreateFrom(config);
  KeepingRecorder recorder;
  Forward(*toy, RandomWeights(*toy, 1), RandomTokens(2, 5, 11, 2), recorder);
  for (Point point : {Point::kQ, Point::kK, Point::kV, Point::kZ}) {
    EXPECT_EQ(recorder.ShapeOf(0, point),
              (std::vector<int64_t>{2, kHeads, 5, kHeadDim}));
    EXPECT_EQ(recorder.seen.count({1, point}), 0u);
  }
  EXPECT_EQ(recorder.seen.count({1, Point::kAttnOut}), 0u);
  EXPECT_EQ(recorder.seen.count({2, Point::kMlpOut}), 0u);
  for (Point point : {Point::kResidPre, Point::kResidMid, Point::kResidPost}) {
    for (int layer = 0; layer < kLayers; ++layer) {
      EXPECT_EQ(recorder.ShapeOf(layer, point),
                (std::vector<int64_t>{2, 5, kWidth}));
    }
  }
}

TEST(BigramBackcopyTest, AbsentPartsAskForNoWeights) {
  nlohmann::json config = Config();
  config["layer_attention"] = {true, true, false};
  config["layer_mlp"] = {true, true, false};
  const auto toy = CreateFrom(config);
  EXPECT_TRUE(toy->LayerTensors(2).empty());
  EXPECT_FALSE(toy->OutputProjection(2, {}).defined());
  EXPECT_EQ(toy->shape().attention[2].kind, AttentionKind::kNone);
}

}  // namespace
}  // namespace sinkwatch::model

#include "worker/model/layers.h"

#include <tuple>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

// Values around 1, a rounding of float32 is 6e-8, sums of some dozens.
constexpr double kTolerance = 1e-5;

TEST(LayersTest, RmsNormIsItsFormula) {
  const at::Tensor x = RandomTensor({5, 12}, 1, 3.0);
  const at::Tensor weight = RandomTensor({12}, 2);
  EXPECT_LT(MaxDifference(PlainOf(RmsNorm(x, weight, 0.1)),
                          PlainRmsNorm(PlainOf(x), PlainOf(weight), 0.1)),
            kTolerance);
}

TEST(LayersTest, WideRmsNormIsTheSameFormula) {
  const at::Tensor x = RandomTensor({5, 12}, 1, 3.0);
  const at::Tensor weight = RandomTensor({12}, 2);
  EXPECT_LT(MaxDifference(PlainOf(RmsNormWide(x, weight, 0.1)),
                          PlainRmsNorm(PlainOf(x), PlainOf(weight), 0.1)),
            kTolerance);
}

// Float32 up to one cast at the end; the other variant casts twice.
TEST(LayersTest, RmsNormsOfBfloat16DifferByTheOrderOfCastAndWeight) {
  const at::Tensor x = RandomTensor({50, 64}, 1).to(at::kBFloat16);
  const at::Tensor weight = RandomTensor({64}, 2).to(at::kBFloat16);
  const at::Tensor exact =
      RmsNorm(x.to(at::kFloat), weight.to(at::kFloat), 1e-6);
  EXPECT_TRUE(RmsNormWide(x, weight, 1e-6).equal(exact.to(at::kBFloat16)));
  EXPECT_FALSE(RmsNorm(x, weight, 1e-6).equal(exact.to(at::kBFloat16)));
}

TEST(LayersTest, ProjectAddsTheBiasThatIsThere) {
  const at::Tensor x = RandomTensor({3, 4}, 1);
  TensorMap weights = {{"p.weight", RandomTensor({5, 4}, 2)}};
  EXPECT_TRUE(Project(weights, "p", x).equal(Linear(x, weights["p.weight"])));
  weights["p.bias"] = RandomTensor({5}, 3);
  EXPECT_TRUE(Project(weights, "p", x)
                  .equal(Linear(x, weights["p.weight"], weights["p.bias"])));
}

TEST(LayersTest, AddNormedAddsTheNormAndShowsBoth) {
  const at::Tensor x = RandomTensor({1, 3, 8}, 1);
  const at::Tensor added = RandomTensor({1, 3, 8}, 2);
  const at::Tensor weight = RandomTensor({8}, 3);
  KeepingRecorder recorder;
  const auto seen = [&](Point point) {
    return recorder.seen[{2, point}].at(0);
  };
  const at::Tensor sum =
      AddNormed(2, x, added, weight, 1e-5, Point::kResidPost, recorder);
  const at::Tensor normed = RmsNormWide(added, weight, 1e-5);
  EXPECT_TRUE(sum.equal(x + normed));
  EXPECT_TRUE(seen(Point::kMlpOut).equal(normed));
  EXPECT_TRUE(seen(Point::kResidPost).equal(sum));
}

TEST(LayersTest, NormedRotaryTurnsHeadsOfTheNorm) {
  const at::Tensor x = RandomTensor({2, 5, 12}, 1);
  const at::Tensor weight = RandomTensor({12}, 2);
  Rope rope;
  rope.inverse_F = RandomTensor({2}, 3);
  EXPECT_TRUE(NormedRotary(x, weight, 1e-5, 3, rope)
                  .equal(RotaryEmbedding(
                      SplitHeads(RmsNormWide(x, weight, 1e-5), 3), rope)));
}

TEST(LayersTest, SwiGluGatesUpByTheSiluOfGate) {
  const at::Tensor x = RandomTensor({3, 4}, 1);
  const TensorMap weights = {{"m.gate_proj.weight", RandomTensor({6, 4}, 2)},
                             {"m.up_proj.weight", RandomTensor({6, 4}, 3)},
                             {"m.down_proj.weight", RandomTensor({4, 6}, 4)}};
  const auto plain = [&](const char* name, const Matrix& input) {
    return PlainLinear(input, PlainOf(weights.at(name)));
  };
  const Matrix gate = plain("m.gate_proj.weight", PlainOf(x));
  EXPECT_LT(
      MaxDifference(PlainOf(SwiGlu(weights, "m.", x)),
                    plain("m.down_proj.weight",
                          Multiply(Map(gate, PlainSilu),
                                   plain("m.up_proj.weight", PlainOf(x))))),
      kTolerance);
}

TEST(LayersTest, RmsNormOfZerosIsZero) {
  const at::Tensor x = RandomTensor({1, 4}, 1) * 0;
  const at::Tensor y = RmsNorm(x, RandomTensor({4}, 2), 1e-6);
  EXPECT_EQ(MaxDifference(PlainOf(y), Matrix(1, 4)), 0.0);
}

TEST(LayersTest, RmsNormOfBfloat16KeepsTheDtype) {
  const at::Tensor x = RandomTensor({3, 8}, 1).to(at::kBFloat16);
  const at::Tensor weight = RandomTensor({8}, 2).to(at::kBFloat16);
  EXPECT_EQ(RmsNorm(x, weight, 1e-6).scalar_type(), at::kBFloat16);
}

TEST(LayersTest, LayerNormIsItsFormulaWithWeightAndBias) {
  const at::Tensor x = RandomTensor({5, 12}, 1, 3.0);
  const at::Tensor weight = RandomTensor({12}, 2), bias = RandomTensor({12}, 3);
  const Matrix plain_weight = PlainOf(weight), plain_bias = PlainOf(bias);
  EXPECT_LT(MaxDifference(
                PlainOf(LayerNorm(x, weight, bias, 0.1)),
                PlainLayerNorm(PlainOf(x), &plain_weight, &plain_bias, 0.1)),
            kTolerance);
}

TEST(LayersTest, LayerNormWithoutWeightsOnlyNormalises) {
  const at::Tensor x = RandomTensor({5, 12}, 1, 3.0);
  EXPECT_LT(MaxDifference(PlainOf(LayerNorm(x, {}, {}, 1e-5)),
                          PlainLayerNorm(PlainOf(x), nullptr, nullptr, 1e-5)),
            kTolerance);
}

TEST(LayersTest, LinearAddsTheBias) {
  const at::Tensor x = RandomTensor({3, 4}, 1),
                   weight = RandomTensor({5, 4}, 2);
  const at::Tensor bias = RandomTensor({5}, 3);
  const Matrix plain_bias = PlainOf(bias);
  EXPECT_LT(
      MaxDifference(PlainOf(Linear(x, weight, bias)),
                    PlainLinear(PlainOf(x), PlainOf(weight), &plain_bias)),
      kTolerance);
}

TEST(LayersTest, RotaryEmbeddingTurnsPairsByPosition) {
  const at::Tensor x_BHTE = RandomTensor({2, 3, 9, 6}, 1);
  const at::Tensor y_BHTE = RotaryEmbedding(x_BHTE, PlainRope(6, 100.0));
  for (int64_t b = 0; b < 2; ++b) {
    EXPECT_LT(
        MaxDifference(PlainOfHeads(y_BHTE.select(0, b)),
                      PlainRotary(PlainOfHeads(x_BHTE.select(0, b)), 3, 100.0)),
        kTolerance);
  }
}

TEST(LayersTest, RotaryEmbeddingOfOneTokenChangesNothing) {
  const at::Tensor x_BHTE = RandomTensor({1, 2, 1, 4}, 1);
  EXPECT_TRUE(RotaryEmbedding(x_BHTE, PlainRope(4, 1e4)).equal(x_BHTE));
}

TEST(LayersTest, RotaryEmbeddingOfAPartLeavesTheRestAlone) {
  const at::Tensor x_BHTE = RandomTensor({2, 3, 9, 10}, 1);
  Rope rope = PlainRope(6, 100.0);
  rope.attention_factor = 1.5;
  const at::Tensor y_BHTE = RotaryEmbedding(x_BHTE, rope);
  EXPECT_TRUE(y_BHTE.slice(-1, 6).equal(x_BHTE.slice(-1, 6)));
  const Matrix turned = PlainRotary(
      PlainOfHeads(x_BHTE.select(0, 1).slice(-1, 0, 6) * 1.5), 3, 100.0);
  EXPECT_LT(
      MaxDifference(PlainOfHeads(y_BHTE.select(0, 1).slice(-1, 0, 6)), turned),
      kTolerance);
}

TEST(LayersTest, RotaryEmbeddingKeepsTheDtype) {
  const at::Tensor x_BHTE = RandomTensor({1, 2, 5, 8}, 1).to(at::kBFloat16);
  for (int64_t width : {4, 8}) {
    EXPECT_EQ(RotaryEmbedding(x_BHTE, PlainRope(width, 1e4)).scalar_type(),
              at::kBFloat16);
  }
}

TEST(LayersTest, SplitAndMergeHeadsAreInverse) {
  const at::Tensor x_BTD = RandomTensor({2, 3, 8}, 1);
  const at::Tensor x_BHTE = SplitHeads(x_BTD, 4);
  EXPECT_EQ(x_BHTE.sizes().vec(), (std::vector<int64_t>{2, 4, 3, 2}));
  EXPECT_TRUE(MergeHeads(x_BHTE).equal(x_BTD));
  EXPECT_LT(MaxDifference(PlainOfHeads(x_BHTE.select(0, 1)),
                          PlainOf(x_BTD.select(0, 1))),
            kTolerance);
}

TEST(LayersTest, SiluIsItsFormula) {
  const at::Tensor x = RandomTensor({2, 9}, 1, 4.0);
  EXPECT_LT(MaxDifference(PlainOf(Silu(x)), Map(PlainOf(x), PlainSilu)),
            kTolerance);
}

struct AttentionCase {
  AttentionKind kind;
  int64_t tokens;
  int64_t window;
  int64_t heads;
  int64_t groups;
  bool learned_sinks = false;
};

class CausalAttentionTest : public ::testing::TestWithParam<AttentionCase> {};

TEST_P(CausalAttentionTest, IsTheSumOverVisibleKeys) {
  const AttentionCase& test = GetParam();
  AttentionShape shape;
  shape.kind = test.kind;
  shape.scale = 0.7;  // not the usual one: it must be heard
  shape.window = test.window;
  const auto tensor = [&](int64_t heads, unsigned seed) {
    return RandomTensor({2, heads, test.tokens, 4}, seed, 1.5);
  };
  const at::Tensor q_BHTE = tensor(test.heads, 1);
  const at::Tensor k_BGTE = tensor(test.groups, 2);
  const at::Tensor v_BGTE = tensor(test.groups, 3);
  at::Tensor sinks_H;
  Matrix plain_sinks;
  if (test.learned_sinks) {
    sinks_H = RandomTensor({test.heads}, 4, 2.0);
    plain_sinks = PlainOf(sinks_H);
  }
  const at::Tensor z_BHTE =
      CausalAttention(q_BHTE, k_BGTE, v_BGTE, shape, sinks_H);
  for (int64_t b = 0; b < 2; ++b) {
    const Matrix expected = PlainAttention(
        PlainOfHeads(q_BHTE.select(0, b)), PlainOfHeads(k_BGTE.select(0, b)),
        PlainOfHeads(v_BGTE.select(0, b)), test.heads, test.groups, shape,
        test.learned_sinks ? &plain_sinks : nullptr);
    EXPECT_LT(MaxDifference(PlainOfHeads(z_BHTE.select(0, b)), expected), 2e-5);
  }
}

constexpr AttentionKind kSoftmax = AttentionKind::kSoftmax;
constexpr AttentionKind kRelu = AttentionKind::kRelu;

INSTANTIATE_TEST_SUITE_P(
    Cases, CausalAttentionTest,
    ::testing::Values(AttentionCase{kSoftmax, 13, 0, 2, 2},
                      AttentionCase{kSoftmax, 13, 0, 6, 2},  // groups of 3
                      AttentionCase{kSoftmax, 1, 0, 2, 1},
                      AttentionCase{kSoftmax, 13, 5, 2, 2},
                      AttentionCase{kSoftmax, 13, 1, 2, 2},   // itself only
                      AttentionCase{kSoftmax, 13, 13, 2, 2},  // sees all
                      AttentionCase{kSoftmax, 13, 12, 2, 1},
                      // More than one block of rows, the last one short.
                      AttentionCase{kSoftmax, 261, 40, 4, 2},
                      AttentionCase{kSoftmax, 261, 0, 2, 1},
                      AttentionCase{kSoftmax, 13, 0, 6, 2, true},
                      AttentionCase{kSoftmax, 1, 0, 2, 1, true},
                      AttentionCase{kSoftmax, 261, 40, 4, 2, true},
                      AttentionCase{kRelu, 13, 0, 2, 2},
                      AttentionCase{kRelu, 1, 0, 1, 1},
                      AttentionCase{kRelu, 13, 4, 4, 2},
                      AttentionCase{kRelu, 261, 0, 2, 1}),
    [](const ::testing::TestParamInfo<AttentionCase>& info) {
      return std::string(info.param.kind == kRelu ? "Relu" : "Softmax") + "T" +
             std::to_string(info.param.tokens) + "W" +
             std::to_string(info.param.window) + "H" +
             std::to_string(info.param.heads) + "G" +
             std::to_string(info.param.groups) +
             (info.param.learned_sinks ? "Sinks" : "");
    });

TEST(CausalAttentionPropertyTest, GroupsOfOneHeadAreTheSameAsRepeatedKeys) {
  const at::Tensor q_BHTE = RandomTensor({1, 4, 9, 4}, 1);
  const at::Tensor k_BGTE = RandomTensor({1, 2, 9, 4}, 2);
  const at::Tensor v_BGTE = RandomTensor({1, 2, 9, 4}, 3);
  const AttentionShape shape;
  const at::Tensor grouped = CausalAttention(q_BHTE, k_BGTE, v_BGTE, shape);
  const at::Tensor repeated =
      CausalAttention(q_BHTE, k_BGTE.repeat_interleave(2, 1),
                      v_BGTE.repeat_interleave(2, 1), shape);
  EXPECT_TRUE(grouped.equal(repeated));
}

TEST(CausalAttentionPropertyTest, LaterTokensDoNotChangeEarlierRows) {
  at::Tensor k_BGTE = RandomTensor({1, 2, 9, 4}, 2);
  const at::Tensor q_BHTE = RandomTensor({1, 2, 9, 4}, 1);
  const at::Tensor before = CausalAttention(q_BHTE, k_BGTE, k_BGTE, {});
  k_BGTE.select(2, 8).fill_(50.0);
  const at::Tensor after = CausalAttention(q_BHTE, k_BGTE, k_BGTE, {});
  EXPECT_TRUE(before.slice(2, 0, 8).equal(after.slice(2, 0, 8)));
  EXPECT_FALSE(before.select(2, 8).equal(after.select(2, 8)));
}

}  // namespace
}  // namespace sinkwatch::model

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

constexpr int kLayers = 2;
constexpr int kHeads = 3;
constexpr int kHeadDim = 8;
constexpr int kWidth = kHeads * kHeadDim;
constexpr double kTheta = 500.0;

nlohmann::json Config(bool parallel) {
  return {{"model_type", "gpt_neox"},
          {"architectures", {"GPTNeoXForCausalLM"}},
          {"hidden_size", kWidth},
          {"intermediate_size", 14},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"vocab_size", 11},
          {"rotary_pct", 0.25},
          {"rotary_emb_base", kTheta},
          {"use_parallel_residual", parallel}};
}

double Gelu(double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2))); }

// Columns [first, first + count) of every head's `stride`, side by side.
Matrix OfHeads(const Matrix& x, int64_t stride, int64_t first, int64_t count) {
  Matrix part(x.rows, kHeads * count);
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t i = 0; i < part.columns; ++i) {
      part(t, i) = x(t, i / count * stride + first + i % count);
    }
  }
  return part;
}

// GPT-NeoX from its code, one sequence in float64.
struct PlainGptNeoX {
  bool parallel = true;
  bool attention_bias = true;
  int rotated = kHeadDim / 4;

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    Matrix x = PlainLookUp(weights.at("gpt_neox.embed_in.weight"), ids);
    for (int layer = 0; layer < kLayers; ++layer) {
      const std::string prefix = absl::StrCat("gpt_neox.layers.", layer, ".");
      const Matrix attended = Attention(weights, prefix, x);
      const Matrix mid = Add(x, attended);
      x = Add(mid, Mlp(weights, prefix, parallel ? x : mid));
    }
    return PlainLinear(Norm(weights, "gpt_neox.final_layer_norm", x),
                       weights.at("embed_out.weight"));
  }

  static Matrix Norm(const PlainWeights& weights, const std::string& name,
                     const Matrix& x) {
    return PlainLayerNorm(x, &weights.at(name + ".weight"),
                          &weights.at(name + ".bias"), 1e-5);
  }

  static Matrix Project(const PlainWeights& weights, const std::string& name,
                        const Matrix& x, bool bias = true) {
    return PlainLinear(x, weights.at(name + ".weight"),
                       bias ? &weights.at(name + ".bias") : nullptr);
  }

  // The first `rotated` elements of each head turn, the rest stays.
  Matrix Rotated(const Matrix& x) const {
    const Matrix turned =
        PlainRotary(OfHeads(x, kHeadDim, 0, rotated), kHeads, kTheta);
    Matrix y = x;
    for (int64_t t = 0; t < x.rows; ++t) {
      for (int64_t i = 0; i < turned.columns; ++i) {
        y(t, i / rotated * kHeadDim + i % rotated) = turned(t, i);
      }
    }
    return y;
  }

  Matrix Attention(const PlainWeights& weights, const std::string& prefix,
                   const Matrix& x) const {
    const Matrix qkv =
        Project(weights, prefix + "attention.query_key_value",
                Norm(weights, prefix + "input_layernorm", x), attention_bias);
    const auto part = [&](int index) {
      return OfHeads(qkv, 3 * kHeadDim, index * kHeadDim, kHeadDim);
    };
    AttentionShape shape;
    shape.scale = 1 / std::sqrt(double{kHeadDim});
    return Project(weights, prefix + "attention.dense",
                   PlainAttention(Rotated(part(0)), Rotated(part(1)), part(2),
                                  kHeads, kHeads, shape),
                   attention_bias);
  }

  static Matrix Mlp(const PlainWeights& weights, const std::string& prefix,
                    const Matrix& x) {
    const Matrix wide =
        Project(weights, prefix + "mlp.dense_h_to_4h",
                Norm(weights, prefix + "post_attention_layernorm", x));
    return Project(weights, prefix + "mlp.dense_4h_to_h", Map(wide, Gelu));
  }
};

TEST(GptNeoXTest, ForwardEqualsThePlainOneParallelAndSequential) {
  for (bool parallel : {true, false}) {
    SCOPED_TRACE(parallel);
    PlainGptNeoX plain;
    plain.parallel = parallel;
    ExpectForwardEquals(Config(parallel), plain);
  }
}

TEST(GptNeoXTest, OptionsEqualThePlainOnes) {
  nlohmann::json config = Config(true);
  config["attention_bias"] = false;
  config["rotary_pct"] = 1.0;
  PlainGptNeoX plain;
  plain.attention_bias = false;
  plain.rotated = kHeadDim;
  ExpectForwardEquals(config, plain);
}

TEST(GptNeoXTest, NewerRotaryKeysAreTheSame) {
  nlohmann::json config = Config(true);
  config.erase("rotary_pct");
  config.erase("rotary_emb_base");
  config["rope_parameters"] = {{"rope_type", "default"},
                               {"rope_theta", kTheta},
                               {"partial_rotary_factor", 0.25}};
  ExpectForwardEquals(config, PlainGptNeoX());
}

TEST(GptNeoXTest, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(true),
                       "gpt_neox.layers.0.attention.query_key_value.weight",
                       PlainGptNeoX());
}

TEST(GptNeoXTest, AParallelBlockHasNoStreamBetweenItsSubLayers) {
  for (bool parallel : {true, false}) {
    const auto neox = CreateFrom(Config(parallel));
    KeepingRecorder recorder;
    Forward(*neox, RandomWeights(*neox, 1), RandomTokens(3, 5, 11, 2),
            recorder);
    using Shape = std::vector<int64_t>;
    EXPECT_EQ(recorder.seen.size(), kLayers * (parallel ? 8u : 9u));
    EXPECT_EQ(recorder.seen.count({1, Point::kResidMid}), parallel ? 0u : 1u);
    EXPECT_EQ(recorder.ShapeOf(1, Point::kMlpOut), (Shape{3, 5, kWidth}));
    for (Point point : {Point::kQ, Point::kK, Point::kV, Point::kZ}) {
      EXPECT_EQ(recorder.ShapeOf(1, point), (Shape{3, kHeads, 5, kHeadDim}));
    }
  }
}

}  // namespace
}  // namespace sinkwatch::model

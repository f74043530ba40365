#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/config/config.h"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"
#include "worker/model/registry.h"

namespace sinkwatch::model {
namespace {

constexpr int kLayers = 2;
constexpr int kHeads = 3;
constexpr int kHeadDim = 5;
constexpr int kWidth = kHeads * kHeadDim;

nlohmann::json Config() {
  return {{"model_type", "gpt2"}, {"architectures", {"GPT2LMHeadModel"}},
          {"n_embd", kWidth},     {"n_layer", kLayers},
          {"n_head", kHeads},     {"n_positions", 12},
          {"vocab_size", 11}};
}

double TanhGelu(double x) {
  return x / 2 *
         (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) *
                        (x + 0.044715 * x * x * x)));
}

double ExactGelu(double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2))); }

Matrix Columns(const Matrix& x, int64_t first, int64_t count) {
  Matrix part(x.rows, count);
  for (int64_t i = 0; i < part.rows * count; ++i) {
    part(i / count, i % count) = x(i / count, first + i % count);
  }
  return part;
}

// GPT-2 from its code, one sequence in float64.
struct PlainGpt2 {
  std::vector<double> scales =
      std::vector<double>(kLayers, 1 / std::sqrt(double{kHeadDim}));
  double (*activation)(double) = TanhGelu;
  bool tied = true;

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    std::vector<int64_t> positions;
    for (size_t t = 0; t < ids.size(); ++t) positions.push_back(t);
    const Matrix& table = weights.at("transformer.wte.weight");
    Matrix x =
        Add(PlainLookUp(table, ids),
            PlainLookUp(weights.at("transformer.wpe.weight"), positions));
    for (int layer = 0; layer < kLayers; ++layer) {
      x = Block(scales[layer], absl::StrCat("transformer.h.", layer, "."),
                weights, x);
    }
    return PlainLinear(Norm(weights, "transformer.ln_f", x),
                       tied ? table : weights.at("lm_head.weight"));
  }

  static Matrix Norm(const PlainWeights& weights, const std::string& name,
                     const Matrix& x) {
    return PlainLayerNorm(x, &weights.at(name + ".weight"),
                          &weights.at(name + ".bias"), 1e-5);
  }

  // y = x W + b.
  static Matrix Conv1d(const PlainWeights& weights, const std::string& name,
                       const Matrix& x) {
    const Matrix& w = weights.at(name + ".weight");
    Matrix y(x.rows, w.columns);
    for (int64_t t = 0; t < x.rows; ++t) {
      for (int64_t o = 0; o < w.columns; ++o) {
        y(t, o) = weights.at(name + ".bias")(0, o);
        for (int64_t i = 0; i < w.rows; ++i) y(t, o) += x(t, i) * w(i, o);
      }
    }
    return y;
  }

  Matrix Block(double scale, const std::string& prefix,
               const PlainWeights& weights, const Matrix& x) const {
    const Matrix qkv = Conv1d(weights, prefix + "attn.c_attn",
                              Norm(weights, prefix + "ln_1", x));
    AttentionShape shape;
    shape.scale = scale;
    const Matrix z =
        PlainAttention(Columns(qkv, 0, kWidth), Columns(qkv, kWidth, kWidth),
                       Columns(qkv, 2 * kWidth, kWidth), kHeads, kHeads, shape);
    const Matrix mid = Add(x, Conv1d(weights, prefix + "attn.c_proj", z));
    const Matrix wide = Conv1d(weights, prefix + "mlp.c_fc",
                               Norm(weights, prefix + "ln_2", mid));
    return Add(mid,
               Conv1d(weights, prefix + "mlp.c_proj", Map(wide, activation)));
  }
};

TEST(Gpt2Test, ForwardEqualsThePlainOne) {
  ExpectForwardEquals(Config(), PlainGpt2());
}

TEST(Gpt2Test, LogitsAreScaledAsTheConfigSays) {
  nlohmann::json config = Config();
  config["scale_attn_weights"] = false;
  PlainGpt2 plain;
  plain.scales = {1, 1};
  ExpectForwardEquals(config, plain);
  config["scale_attn_by_inverse_layer_idx"] = true;
  plain.scales = {1, 0.5};
  ExpectForwardEquals(config, plain);
}

TEST(Gpt2Test, OtherWidthActivationAndHeadEqualThePlainOnes) {
  nlohmann::json config = Config();
  config["n_inner"] = 8;
  config["activation_function"] = "gelu";
  config["tie_word_embeddings"] = false;
  PlainGpt2 plain;
  plain.activation = ExactGelu;
  plain.tied = false;
  ExpectForwardEquals(config, plain);
}

TEST(Gpt2Test, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(), "transformer.h.0.attn.c_attn.weight",
                       PlainGpt2());
}

TEST(Gpt2Test, NamesWithoutPrefixGiveTheSameLogits) {
  const auto gpt2 = CreateFrom(Config());
  const Weights weights = RandomWeights(*gpt2, 1);
  Weights bare;
  for (const auto& [name, tensor] : weights) {
    bare[name.substr(std::string("transformer.").size())] = tensor;
  }
  ASSERT_EQ(bare.count("h.1.attn.c_attn.weight"), 1u);
  const at::Tensor tokens_BT = RandomTokens(2, 5, 11, 2);
  EXPECT_TRUE(Forward(*gpt2, bare, tokens_BT)
                  .equal(Forward(*gpt2, weights, tokens_BT)));
}

TEST(Gpt2Test, RecorderSeesEveryPointOnce) {
  const auto gpt2 = CreateFrom(Config());
  KeepingRecorder recorder;
  Forward(*gpt2, RandomWeights(*gpt2, 1), RandomTokens(3, 5, 11, 2), recorder);
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(recorder.seen.size(), kLayers * 9u);
  EXPECT_EQ(recorder.ShapeOf(1, Point::kResidMid), (Shape{3, 5, kWidth}));
  for (Point point : {Point::kQ, Point::kK, Point::kV, Point::kZ}) {
    EXPECT_EQ(recorder.ShapeOf(1, point), (Shape{3, kHeads, 5, kHeadDim}));
  }
}

// Its keys have names of their own, which the tests of all architectures do
// not know.
TEST(Gpt2Test, KeysAreCheckedByTheirOwnNames) {
  const auto create = [](const nlohmann::json& json) {
    const auto config = checkpoint::Config::Parse("config.json", json.dump());
    return CreateArchitecture(*config).status();
  };
  for (const char* key : {"n_embd", "n_layer", "n_head", "n_positions"}) {
    nlohmann::json config = Config();
    config[key] = -4;
    EXPECT_EQ(create(config).code(), absl::StatusCode::kDataLoss) << key;
    config.erase(key);
    const absl::Status missing = create(config);
    EXPECT_EQ(missing.code(), absl::StatusCode::kDataLoss) << key;
    EXPECT_NE(std::string(missing.message()).find(key), std::string::npos);
  }
  nlohmann::json config = Config();
  config["activation_function"] = "relu";
  EXPECT_EQ(create(config).code(), absl::StatusCode::kUnimplemented);
  config = Config();
  config["add_cross_attention"] = true;
  EXPECT_EQ(create(config).code(), absl::StatusCode::kUnimplemented);
}

// transformers takes num_attention_heads where both are there.
TEST(Gpt2Test, RefusesTwoNamesOfASizeThatContradict) {
  for (const char* key : {"hidden_size", "num_hidden_layers",
                          "num_attention_heads", "max_position_embeddings"}) {
    nlohmann::json config = Config();
    config[key] = 1;
    const auto made = CreateArchitecture(
        checkpoint::Config::Of("config.json", std::move(config)));
    EXPECT_EQ(made.status().code(), absl::StatusCode::kUnimplemented) << key;
  }
  nlohmann::json config = Config();
  config["num_attention_heads"] = kHeads;
  EXPECT_TRUE(CreateArchitecture(
                  checkpoint::Config::Of("config.json", std::move(config)))
                  .ok());
}

}  // namespace
}  // namespace sinkwatch::model

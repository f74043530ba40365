#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
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
constexpr int kHeads = 4;
constexpr int kGroups = 2;
constexpr int kHeadDim = 6;  // not width / heads
constexpr int kWidth = 16;
constexpr int kWide = 5;
constexpr int kExperts = 3;
constexpr int kChosen = 2;
constexpr int kWindow = 3;
constexpr double kLimit = 0.5;  // most of the random model is above
constexpr double kTheta = 500.0;

nlohmann::json Config() {
  return {
      {"model_type", "gpt_oss"},
      {"architectures", {"GptOssForCausalLM"}},
      {"hidden_size", kWidth},
      {"intermediate_size", kWide},
      {"num_hidden_layers", kLayers},
      {"num_attention_heads", kHeads},
      {"num_key_value_heads", kGroups},
      {"head_dim", kHeadDim},
      {"num_local_experts", kExperts},
      {"num_experts_per_tok", kChosen},
      {"swiglu_limit", kLimit},
      {"sliding_window", kWindow},
      {"vocab_size", 11},
      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", kTheta}}}};
}

// gpt-oss from its code, one sequence in float64.
struct PlainGptOss {
  std::vector<int64_t> windows = {kWindow, 0};
  bool attention_bias = true;

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    Matrix x = PlainLookUp(weights.at("model.embed_tokens.weight"), ids);
    for (int layer = 0; layer < kLayers; ++layer) {
      const std::string prefix = absl::StrCat("model.layers.", layer, ".");
      x = Add(x, Attention(weights, prefix, windows[layer], x));
      x = Add(x,
              Mixture(weights, prefix,
                      Norm(weights, prefix + "post_attention_layernorm", x)));
    }
    return PlainLinear(Norm(weights, "model.norm", x),
                       weights.at("lm_head.weight"));
  }

  static Matrix Norm(const PlainWeights& weights, const std::string& name,
                     const Matrix& x) {
    return PlainRmsNorm(x, weights.at(name + ".weight"), 1e-5);
  }

  Matrix Project(const PlainWeights& weights, const std::string& name,
                 const Matrix& x) const {
    return PlainLinear(x, weights.at(name + ".weight"),
                       attention_bias ? &weights.at(name + ".bias") : nullptr);
  }

  Matrix Attention(const PlainWeights& weights, const std::string& prefix,
                   int64_t window, const Matrix& x) const {
    const Matrix n = Norm(weights, prefix + "input_layernorm", x);
    const std::string self = prefix + "self_attn.";
    AttentionShape shape;
    shape.scale = 1 / std::sqrt(double{kHeadDim});
    shape.window = window;
    const Matrix z = PlainAttention(
        PlainRotary(Project(weights, self + "q_proj", n), kHeads, kTheta),
        PlainRotary(Project(weights, self + "k_proj", n), kGroups, kTheta),
        Project(weights, self + "v_proj", n), kHeads, kGroups, shape,
        &weights.at(self + "sinks"));
    return Project(weights, self + "o_proj", z);
  }

  // x_t W_e + b_e of row t; W of all experts lies one below the other.
  static std::vector<double> OfExpert(const PlainWeights& weights,
                                      const std::string& name, int e,
                                      const std::vector<double>& x) {
    const Matrix& w = weights.at(name);
    const Matrix& bias = weights.at(name + "_bias");
    std::vector<double> y(w.columns);
    for (int64_t o = 0; o < w.columns; ++o) {
      y[o] = bias(e, o);
      for (size_t i = 0; i < x.size(); ++i)
        y[o] += x[i] * w(e * x.size() + i, o);
    }
    return y;
  }

  static std::vector<double> Expert(const PlainWeights& weights,
                                    const std::string& prefix, int e,
                                    const std::vector<double>& x) {
    const std::vector<double> both =
        OfExpert(weights, prefix + "mlp.experts.gate_up_proj", e, x);
    std::vector<double> gated(kWide);
    for (int i = 0; i < kWide; ++i) {
      const double gate = std::min(both[2 * i], kLimit);
      const double up = std::clamp(both[2 * i + 1], -kLimit, kLimit);
      gated[i] = (up + 1) * gate / (1 + std::exp(-1.702 * gate));
    }
    return OfExpert(weights, prefix + "mlp.experts.down_proj", e, gated);
  }

  static Matrix Mixture(const PlainWeights& weights, const std::string& prefix,
                        const Matrix& x) {
    const Matrix logits =
        PlainLinear(x, weights.at(prefix + "mlp.router.weight"),
                    &weights.at(prefix + "mlp.router.bias"));
    Matrix mixed(x.rows, x.columns);
    for (int64_t t = 0; t < x.rows; ++t) {
      const auto row = x.values.begin() + t * x.columns;
      std::vector<int> order(kExperts);
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(),
                [&](int a, int b) { return logits(t, a) > logits(t, b); });
      double total = 0;
      for (int slot = 0; slot < kChosen; ++slot) {
        total += std::exp(logits(t, order[slot]));
      }
      for (int slot = 0; slot < kChosen; ++slot) {
        const std::vector<double> y =
            Expert(weights, prefix, order[slot], {row, row + x.columns});
        for (int64_t i = 0; i < x.columns; ++i) {
          mixed(t, i) += std::exp(logits(t, order[slot])) / total * y[i];
        }
      }
    }
    return mixed;
  }
};

TEST(GptOssTest, ForwardEqualsThePlainOne) {
  ExpectForwardEquals(Config(), PlainGptOss());
}

TEST(GptOssTest, LayerTypesSayWhichLayersSlide) {
  nlohmann::json config = Config();
  config["layer_types"] = {"full_attention", "sliding_attention"};
  PlainGptOss plain;
  plain.windows = {0, kWindow};
  ExpectForwardEquals(config, plain);
}

TEST(GptOssTest, WithoutAttentionBiasesEqualsThePlainOne) {
  nlohmann::json config = Config();
  config["attention_bias"] = false;
  PlainGptOss plain;
  plain.attention_bias = false;
  ExpectForwardEquals(config, plain);
}

TEST(GptOssTest, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(), "model.layers.1.self_attn.sinks",
                       PlainGptOss());
}

TEST(GptOssTest, HandsOverTheLearnedSinksOfALayer) {
  const auto oss = CreateFrom(Config());
  const Weights weights = RandomWeights(*oss, 1);
  for (int layer = 0; layer < kLayers; ++layer) {
    const at::Tensor sinks_H =
        oss->LearnedSinks(layer, Pick(oss->LayerTensors(layer), weights));
    EXPECT_TRUE(sinks_H.equal(
        weights.at(absl::StrCat("model.layers.", layer, ".self_attn.sinks"))));
  }
}

TEST(GptOssTest, RecorderSeesEveryPointOnce) {
  const auto oss = CreateFrom(Config());
  KeepingRecorder recorder;
  Forward(*oss, RandomWeights(*oss, 1), RandomTokens(3, 5, 11, 2), recorder);
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(recorder.seen.size(), kLayers * 11u);
  EXPECT_EQ(recorder.ShapeOf(1, Point::kRouterScores), (Shape{3, 5, kExperts}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kExperts), (Shape{3, 5, kChosen}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kMlpOut), (Shape{3, 5, kWidth}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kZ), (Shape{3, kHeads, 5, kHeadDim}));
  EXPECT_EQ(recorder.ShapeOf(1, Point::kK), (Shape{3, kGroups, 5, kHeadDim}));
}

absl::Status Create(const nlohmann::json& json) {
  const auto config = checkpoint::Config::Parse("config.json", json.dump());
  return CreateArchitecture(*config).status();
}

TEST(GptOssTest, QuantisedWeightsAreRefusedByName) {
  nlohmann::json config = Config();
  config["quantization_config"] = {{"quant_method", "mxfp4"}};
  const absl::Status status = Create(config);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(std::string(status.message()).find("mxfp4"), std::string::npos);
}

TEST(GptOssTest, LayersAndWindowsMustFit) {
  nlohmann::json config = Config();
  config["layer_types"] = {"full_attention"};
  EXPECT_EQ(Create(config).code(), absl::StatusCode::kDataLoss);
  config["layer_types"] = {"full_attention", "chunked_attention"};
  EXPECT_EQ(Create(config).code(), absl::StatusCode::kUnimplemented);
  config["layer_types"] = {"full_attention", "full_attention"};
  config["sliding_window"] = nullptr;
  EXPECT_TRUE(Create(config).ok());
  config.erase("layer_types");
  EXPECT_EQ(Create(config).code(), absl::StatusCode::kDataLoss);
  config = Config();
  config.erase("rope_parameters");
  EXPECT_EQ(Create(config).code(), absl::StatusCode::kDataLoss);
  config = Config();
  config["num_experts_per_tok"] = kExperts + 1;
  EXPECT_EQ(Create(config).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace sinkwatch::model

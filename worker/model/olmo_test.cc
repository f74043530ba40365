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
constexpr int kHeads = 4;
constexpr int kHeadDim = 4;
constexpr int kWidth = kHeads * kHeadDim;
constexpr double kTheta = 500.0;
constexpr double kNoClip = 1e9;

nlohmann::json Config(int kv_heads) {
  return {{"model_type", "olmo"},
          {"architectures", {"OlmoForCausalLM"}},
          {"hidden_size", kWidth},
          {"intermediate_size", 14},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"num_key_value_heads", kv_heads},
          {"vocab_size", 11},
          {"rope_theta", kTheta},
          {"tie_word_embeddings", false}};
}

// OLMo 1 from its paper and config, one sequence in float64.
class PlainOlmo {
 public:
  PlainOlmo(int kv_heads, double clip) : kv_heads_(kv_heads), clip_(clip) {}

  // Logits are multiplied by it.
  double logit_scale = 1;

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    const Matrix& table = weights.at("model.embed_tokens.weight");
    Matrix x = PlainLookUp(table, ids);
    for (int layer = 0; layer < kLayers; ++layer) x = Block(layer, weights, x);
    const auto head = weights.find("lm_head.weight");
    Matrix logits = PlainLinear(Norm(x, weights, "model.norm.weight"),
                                head == weights.end() ? table : head->second);
    for (double& logit : logits.values) logit *= logit_scale;
    return logits;
  }

 private:
  static Matrix Norm(const Matrix& x, const PlainWeights& weights,
                     const std::string& name) {
    const auto weight = weights.find(name);
    return PlainLayerNorm(
        x, weight == weights.end() ? nullptr : &weight->second, nullptr, 1e-5);
  }

  Matrix Block(int layer, const PlainWeights& weights, const Matrix& x) const {
    const auto project = [&](const std::string& name, const Matrix& input) {
      return PlainLinear(input, weights.at(absl::StrCat("model.layers.", layer,
                                                        ".", name, ".weight")));
    };
    const std::string native = absl::StrCat("transformer.blocks.", layer, ".");
    const Matrix n = Norm(x, weights, native + "attn_norm.weight");
    AttentionShape shape;
    shape.scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
    const Matrix z = PlainAttention(
        PlainRotary(Clip(project("self_attn.q_proj", n), clip_), kHeads,
                    kTheta),
        PlainRotary(Clip(project("self_attn.k_proj", n), clip_), kv_heads_,
                    kTheta),
        Clip(project("self_attn.v_proj", n), clip_), kHeads, kv_heads_, shape);
    const Matrix mid = Add(x, project("self_attn.o_proj", z));
    const Matrix m = Norm(mid, weights, native + "ff_norm.weight");
    return Add(mid,
               project("mlp.down_proj",
                       Multiply(Map(project("mlp.gate_proj", m), PlainSilu),
                                project("mlp.up_proj", m))));
  }

  const int kv_heads_;
  const double clip_;
};

TEST(OlmoTest, ForwardEqualsThePlainOneForEveryGroupSize) {
  for (int kv_heads : {1, 2, 4}) {
    SCOPED_TRACE(kv_heads);
    ExpectForwardEquals(Config(kv_heads), PlainOlmo(kv_heads, kNoClip));
  }
}

TEST(OlmoTest, ClippedProjectionsEqualThePlainOnes) {
  nlohmann::json config = Config(2);
  config["clip_qkv"] = 0.75;  // most projections of the random model are above
  ExpectForwardEquals(config, PlainOlmo(2, 0.75));
}

TEST(OlmoTest, NormsWithWeightsEqualThePlainOnes) {
  nlohmann::json config = Config(2);
  config["olmo.layer_norm_affine"] = true;
  const auto olmo = CreateFrom(config);
  const Weights weights = RandomWeights(*olmo, 1);
  for (const char* name :
       {"transformer.blocks.1.attn_norm.weight",
        "transformer.blocks.0.ff_norm.weight", "model.norm.weight"}) {
    EXPECT_EQ(weights.count(name), 1u) << name;
  }
  ExpectForwardEquals(config, PlainOlmo(2, kNoClip));
}

TEST(OlmoTest, ScaledLogitsAreDividedByTheRootOfTheWidth) {
  nlohmann::json config = Config(2);
  config["olmo.scale_logits"] = true;
  PlainOlmo plain(2, kNoClip);
  plain.logit_scale = 0.25;  // of width 16
  ExpectForwardEquals(config, plain);
}

// Of the first trainer, or of nobody: Hugging Face's class does not know them.
TEST(OlmoTest, WordsOfTheTrainerInHuggingFacesConfigChangeNothing) {
  nlohmann::json config = Config(2);
  config["scale_logits"] = true;
  config["layer_norm_affine"] = true;
  ExpectForwardEquals(config, PlainOlmo(2, kNoClip));
}

TEST(OlmoTest, NullClipDoesNotClip) {
  nlohmann::json config = Config(2);
  config["clip_qkv"] = nullptr;
  ExpectForwardEquals(config, PlainOlmo(2, kNoClip));
}

TEST(OlmoTest, RecordedProjectionsLieWithinTheClip) {
  nlohmann::json config = Config(2);
  config["clip_qkv"] = 0.75;
  const auto olmo = CreateFrom(config);
  KeepingRecorder recorder;
  Forward(*olmo, RandomWeights(*olmo, 1), RandomTokens(2, 5, 11, 2), recorder);
  const at::Tensor v = recorder.seen.at({0, Point::kV})[0];
  EXPECT_EQ(v.abs().max().item<float>(), 0.75f);
}

TEST(OlmoTest, TiedHeadIsTheEmbedding) {
  nlohmann::json config = Config(2);
  config["tie_word_embeddings"] = true;
  ExpectForwardEquals(config, PlainOlmo(2, kNoClip));
}

TEST(OlmoTest, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(2), "model.layers.0.self_attn.v_proj.weight",
                       PlainOlmo(2, kNoClip));
}

TEST(OlmoTest, RecorderSeesEveryPointOnceWithItsShape) {
  const auto olmo = CreateFrom(Config(2));
  KeepingRecorder recorder;
  Forward(*olmo, RandomWeights(*olmo, 1), RandomTokens(3, 5, 11, 2), recorder);
  using Shape = std::vector<int64_t>;
  const Shape stream{3, 5, kWidth}, query{3, kHeads, 5, kHeadDim};
  const Shape key{3, 2, 5, kHeadDim};
  for (int layer = 0; layer < kLayers; ++layer) {
    for (Point point : {Point::kResidPre, Point::kAttnOut, Point::kResidMid,
                        Point::kMlpOut, Point::kResidPost}) {
      EXPECT_EQ(recorder.ShapeOf(layer, point), stream);
    }
    EXPECT_EQ(recorder.ShapeOf(layer, Point::kQ), query);
    EXPECT_EQ(recorder.ShapeOf(layer, Point::kK), key);
    EXPECT_EQ(recorder.ShapeOf(layer, Point::kV), key);
    EXPECT_EQ(recorder.ShapeOf(layer, Point::kZ), query);
  }
  EXPECT_EQ(recorder.seen.size(), kLayers * 9u);
}

}  // namespace
}  // namespace sinkwatch::model

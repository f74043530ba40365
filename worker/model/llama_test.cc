#include <cmath>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

constexpr int kLayers = 2;
constexpr int kHeads = 4;
constexpr int kHeadDim = 6;
constexpr int kWidth = 20;  // not heads * head_dim
constexpr double kEpsilon = 1e-2;
constexpr double kTheta = 500.0;

nlohmann::json Config(int kv_heads) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"hidden_size", kWidth},
          {"intermediate_size", 14},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"num_key_value_heads", kv_heads},
          {"head_dim", kHeadDim},
          {"vocab_size", 11},
          {"rms_norm_eps", kEpsilon},
          {"rope_theta", kTheta},
          {"tie_word_embeddings", false}};
}

// Llama from its paper and config, one sequence in float64.
class PlainLlama {
 public:
  explicit PlainLlama(int kv_heads) : kv_heads_(kv_heads) {}

  Matrix operator()(const PlainWeights& weights,
                    const std::vector<int64_t>& ids) const {
    const Matrix& table = weights.at("model.embed_tokens.weight");
    Matrix x = PlainLookUp(table, ids);
    for (int layer = 0; layer < kLayers; ++layer) x = Block(layer, weights, x);
    const auto head = weights.find("lm_head.weight");
    return PlainLinear(
        PlainRmsNorm(x, weights.at("model.norm.weight"), kEpsilon),
        head == weights.end() ? table : head->second);
  }

 private:
  static Matrix Project(const PlainWeights& weights, const std::string& name,
                        const Matrix& x) {
    const auto bias = weights.find(name + ".bias");
    return PlainLinear(x, weights.at(name + ".weight"),
                       bias == weights.end() ? nullptr : &bias->second);
  }

  Matrix Block(int layer, const PlainWeights& weights, const Matrix& x) const {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    const auto project = [&](const std::string& name, const Matrix& input) {
      return Project(weights, prefix + name, input);
    };
    const Matrix n = PlainRmsNorm(
        x, weights.at(prefix + "input_layernorm.weight"), kEpsilon);
    AttentionShape shape;
    shape.scale = 1 / std::sqrt(static_cast<double>(kHeadDim));
    const Matrix z = PlainAttention(
        PlainRotary(project("self_attn.q_proj", n), kHeads, kTheta),
        PlainRotary(project("self_attn.k_proj", n), kv_heads_, kTheta),
        project("self_attn.v_proj", n), kHeads, kv_heads_, shape);
    const Matrix mid = Add(x, project("self_attn.o_proj", z));
    const Matrix m = PlainRmsNorm(
        mid, weights.at(prefix + "post_attention_layernorm.weight"), kEpsilon);
    return Add(mid,
               project("mlp.down_proj",
                       Multiply(Map(project("mlp.gate_proj", m), PlainSilu),
                                project("mlp.up_proj", m))));
  }

  const int kv_heads_;
};

TEST(LlamaTest, ForwardEqualsThePlainOneForEveryGroupSize) {
  for (int kv_heads : {1, 2, 4}) {
    SCOPED_TRACE(kv_heads);
    ExpectForwardEquals(Config(kv_heads), PlainLlama(kv_heads));
  }
}

TEST(LlamaTest, ForwardWithBiasesEqualsThePlainOne) {
  nlohmann::json config = Config(2);
  config["attention_bias"] = true;
  config["mlp_bias"] = true;
  ExpectForwardEquals(config, PlainLlama(2));
}

TEST(LlamaTest, TiedHeadIsTheEmbedding) {
  nlohmann::json config = Config(2);
  config["tie_word_embeddings"] = true;
  ExpectForwardEquals(config, PlainLlama(2));
}

TEST(LlamaTest, GradientsFlowToEveryWeight) {
  ExpectGradientEquals(Config(2), "model.layers.0.self_attn.k_proj.weight",
                       PlainLlama(2));
}

TEST(LlamaTest, RecorderSeesEveryPointOnceWithItsShape) {
  const auto llama = CreateFrom(Config(2));
  KeepingRecorder recorder;
  Forward(*llama, RandomWeights(*llama, 1), RandomTokens(3, 5, 11, 2),
          recorder);
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

TEST(LlamaTest, RecordedStreamIsTheSumOfWhatWasAdded) {
  const auto llama = CreateFrom(Config(2));
  KeepingRecorder recorder;
  Forward(*llama, RandomWeights(*llama, 1), RandomTokens(3, 5, 11, 2),
          recorder);
  const auto at = [&](int layer, Point point) {
    return recorder.seen.at({layer, point})[0];
  };
  EXPECT_TRUE(at(0, Point::kResidMid)
                  .equal(at(0, Point::kResidPre) + at(0, Point::kAttnOut)));
  EXPECT_TRUE(at(0, Point::kResidPost)
                  .equal(at(0, Point::kResidMid) + at(0, Point::kMlpOut)));
  EXPECT_TRUE(at(1, Point::kResidPre).equal(at(0, Point::kResidPost)));
}

TEST(LlamaTest, OutputProjectionTimesHeadsIsWhatAttentionAdds) {
  const auto llama = CreateFrom(Config(2));
  const Weights weights = RandomWeights(*llama, 1);
  KeepingRecorder recorder;
  Forward(*llama, weights, RandomTokens(1, 5, 11, 2), recorder);
  const at::Tensor projection_DHE =
      llama->OutputProjection(1, Pick(llama->LayerTensors(1), weights));
  EXPECT_EQ(projection_DHE.sizes().vec(),
            (std::vector<int64_t>{kWidth, kHeads * kHeadDim}));
  const at::Tensor z_HTE = recorder.seen.at({1, Point::kZ})[0].select(0, 0);
  const at::Tensor added_TD =
      recorder.seen.at({1, Point::kAttnOut})[0].select(0, 0);
  EXPECT_LT(
      MaxDifference(PlainLinear(PlainOfHeads(z_HTE), PlainOf(projection_DHE)),
                    PlainOf(added_TD)),
      1e-4);
}

// The rows (or, for o_proj, columns) of `tensor` with heads in reverse order.
at::Tensor ReverseHeads(const at::Tensor& tensor, int64_t dimension) {
  std::vector<at::Tensor> heads = tensor.split(kHeadDim, dimension);
  return at::cat(std::vector<at::Tensor>(heads.rbegin(), heads.rend()),
                 dimension);
}

TEST(LlamaTest, PermutedHeadsPermuteTheRecordedHeadsAndNothingElse) {
  const auto llama = CreateFrom(Config(kHeads));
  Weights weights = RandomWeights(*llama, 1);
  const at::Tensor tokens_BT = RandomTokens(2, 5, 11, 2);
  KeepingRecorder before, after;
  const at::Tensor logits = Forward(*llama, weights, tokens_BT, before);
  const std::string prefix = "model.layers.0.self_attn.";
  for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
    at::Tensor& weight = weights.at(prefix + name + ".weight");
    weight = ReverseHeads(weight, 0);
  }
  at::Tensor& output = weights.at(prefix + "o_proj.weight");
  output = ReverseHeads(output, 1);
  const at::Tensor permuted = Forward(*llama, weights, tokens_BT, after);

  EXPECT_LT((logits - permuted).abs().max().item<double>(), 1e-4);
  const at::Tensor z_before = before.seen.at({0, Point::kZ})[0];
  const at::Tensor z_after = after.seen.at({0, Point::kZ})[0];
  for (int head = 0; head < kHeads; ++head) {
    EXPECT_LT((z_before.select(1, head) - z_after.select(1, kHeads - 1 - head))
                  .abs()
                  .max()
                  .item<double>(),
              1e-5);
  }
}

TEST(LlamaTest, GroupedHeadsAreTheSameAsRepeatedKeyValueHeads) {
  const auto grouped = CreateFrom(Config(2)), full = CreateFrom(Config(kHeads));
  Weights weights = RandomWeights(*grouped, 1);
  const at::Tensor tokens_BT = RandomTokens(2, 5, 11, 2);
  const at::Tensor logits = Forward(*grouped, weights, tokens_BT);
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const char* name : {"k_proj", "v_proj"}) {
      at::Tensor& weight = weights.at(
          absl::StrCat("model.layers.", layer, ".self_attn.", name, ".weight"));
      const std::vector<at::Tensor> heads = weight.split(kHeadDim, 0);
      weight = at::cat({heads[0], heads[0], heads[1], heads[1]}, 0);
    }
  }
  const at::Tensor repeated = Forward(*full, weights, tokens_BT);
  EXPECT_LT((logits - repeated).abs().max().item<double>(), 1e-4);
}

}  // namespace
}  // namespace sinkwatch::model

// What attention becomes in an ablated head, against loops over doubles.
#include "worker/model/head_ablation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

// float32 against float64, of sums of a dozen values around 1.
constexpr double kTolerance = 2e-5;

struct Case {
  std::string name;
  AttentionKind kind = AttentionKind::kSoftmax;
  int64_t tokens = 9;
  int64_t window = 0;
  int64_t groups = 2;
  bool learned_sinks = false;
  int64_t value_width = 4;
};

// The weights of row t of a head from its logits, whatever the mode does not
// change: no code in common with the layers.
std::vector<double> Weights(std::vector<double> logits, int64_t t,
                            const Case& test, double sink,
                            std::optional<AblationMode> mode) {
  const int64_t first =
      test.window > 0 ? std::max<int64_t>(0, t - test.window + 1) : 0;
  std::vector<double> weights(logits.size(), 0.0);
  const bool sees_sink = first == 0;
  if (mode == AblationMode::kZero) return weights;
  if (mode == AblationMode::kToSink && sees_sink) {
    weights[0] = 1;
    return weights;
  }
  const bool hide = mode == AblationMode::kNoSink && t > 0;
  double total = std::isinf(sink) ? 0 : std::exp(sink);
  for (int64_t s = first; s <= t; ++s) {
    if (s == 0 && hide) continue;
    const bool relu = test.kind == AttentionKind::kRelu;
    weights[s] =
        relu ? std::max(logits[s], 0.0) / (t + 1.0) : std::exp(logits[s]);
    total += weights[s];
  }
  if (test.kind == AttentionKind::kRelu) return weights;
  for (double& weight : weights) weight /= total;
  return weights;
}

class HeadAblationTest
    : public ::testing::TestWithParam<std::tuple<Case, AblationMode>> {
 protected:
  static constexpr int64_t kHeads = 4, kWidth = 4;

  HeadAblationTest() : test_(std::get<0>(GetParam())) {
    shape_.kind = test_.kind;
    shape_.scale = 0.7;
    shape_.window = test_.window;
    const auto random = [&](int64_t heads, int64_t width, unsigned seed) {
      return RandomTensor({3, heads, test_.tokens, width}, seed);
    };
    q_ = random(kHeads, kWidth, 1);
    k_ = random(test_.groups, kWidth, 2);
    v_ = random(test_.groups, test_.value_width, 3);
    if (test_.learned_sinks) sinks_ = RandomTensor({kHeads}, 4);
    z_ = CausalAttentionOf();
  }

  // z as it is, from loops too: the test is of what is changed.
  at::Tensor CausalAttentionOf() const {
    at::Tensor z =
        RandomTensor({3, kHeads, test_.tokens, test_.value_width}, 9);
    for (int64_t b = 0; b < 3; ++b) {
      for (int64_t h = 0; h < kHeads; ++h) {
        const Matrix plain = Expected(b, h, std::nullopt);
        for (int64_t t = 0; t < plain.rows; ++t) {
          for (int64_t e = 0; e < plain.columns; ++e) {
            z.select(0, b).select(0, h).select(0, t).select(0, e).fill_(
                plain(t, e));
          }
        }
      }
    }
    return z;
  }

  Matrix Expected(int64_t b, int64_t h,
                  std::optional<AblationMode> mode) const {
    const int64_t g = h * test_.groups / kHeads;
    const Matrix q = PlainOf(q_.select(0, b).select(0, h));
    const Matrix k = PlainOf(k_.select(0, b).select(0, g));
    const Matrix v = PlainOf(v_.select(0, b).select(0, g));
    const double sink = test_.learned_sinks
                            ? PlainOf(sinks_)(0, h)
                            : -std::numeric_limits<double>::infinity();
    Matrix z(test_.tokens, test_.value_width);
    for (int64_t t = 0; t < test_.tokens; ++t) {
      std::vector<double> logits(test_.tokens, 0.0);
      for (int64_t s = 0; s < test_.tokens; ++s) {
        for (int64_t e = 0; e < kWidth; ++e) {
          logits[s] += shape_.scale * q(t, e) * k(s, e);
        }
      }
      const std::vector<double> weights = Weights(logits, t, test_, sink, mode);
      for (int64_t s = 0; s < test_.tokens; ++s) {
        for (int64_t e = 0; e < test_.value_width; ++e) {
          z(t, e) += weights[s] * v(s, e);
        }
      }
    }
    return z;
  }

  const Case test_;
  AttentionShape shape_;
  at::Tensor q_, k_, v_, sinks_, z_;
};

TEST_P(HeadAblationTest, ChangesTheHeadsOfItsRowsByTheDefinitionAndNoOther) {
  const AblationMode mode = std::get<1>(GetParam());
  const at::Tensor before = z_.clone();
  const at::Tensor changed =
      AblateHeads({0, q_, k_, v_, shape_, sinks_}, z_, {{1, 3, {3, 0}, mode}});
  EXPECT_TRUE(z_.equal(before)) << "the tensor that was handed in was changed";
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t h = 0; h < kHeads; ++h) {
      SCOPED_TRACE(testing::Message() << "sequence " << b << " head " << h);
      const at::Tensor z_TE = changed.select(0, b).select(0, h);
      if (b >= 1 && (h == 0 || h == 3)) {
        EXPECT_LT(MaxDifference(PlainOf(z_TE), Expected(b, h, mode)),
                  kTolerance);
      } else {
        EXPECT_TRUE(z_TE.equal(z_.select(0, b).select(0, h)));
      }
    }
  }
}

TEST_P(HeadAblationTest, RowsThatDoNotSeeTheSinkStayToTheBit) {
  const AblationMode mode = std::get<1>(GetParam());
  if (mode == AblationMode::kZero || test_.window == 0) return;
  const at::Tensor changed =
      AblateHeads({0, q_, k_, v_, shape_, sinks_}, z_, {{0, 3, {1, 2}, mode}});
  EXPECT_TRUE(changed.slice(2, test_.window).equal(z_.slice(2, test_.window)));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, HeadAblationTest,
    ::testing::Combine(
        ::testing::Values(
            Case{"Plain"}, Case{"OneToken", AttentionKind::kSoftmax, 1},
            Case{"TwoTokens", AttentionKind::kSoftmax, 2},
            Case{"AllInOneGroup", AttentionKind::kSoftmax, 9, 0, 1},
            Case{"NoGroups", AttentionKind::kSoftmax, 9, 0, 4},
            Case{"Window", AttentionKind::kSoftmax, 9, 4},
            Case{"WindowOfOne", AttentionKind::kSoftmax, 9, 1},
            Case{"WindowOfAll", AttentionKind::kSoftmax, 9, 9},
            Case{"WindowAboveAll", AttentionKind::kSoftmax, 9, 50},
            Case{"LearnedSinks", AttentionKind::kSoftmax, 9, 0, 2, true},
            Case{"LearnedSinksAndWindow", AttentionKind::kSoftmax, 9, 4, 2,
                 true},
            Case{"Relu", AttentionKind::kRelu},
            Case{"ReluAndWindow", AttentionKind::kRelu, 9, 4},
            Case{"ManyRows", AttentionKind::kSoftmax, 150, 140},
            Case{"WideValues", AttentionKind::kSoftmax, 9, 4, 2, false, 6}),
        ::testing::ValuesIn(base::kAblationModes)),
    [](const auto& info) {
      return std::get<0>(info.param).name + "_" +
             AblationModeName(std::get<1>(info.param));
    });

TEST(HeadAblationLayerTest, OtherLayersPass) {
  const at::Tensor z = RandomTensor({1, 2, 3, 4}, 1);
  AttentionShape shape;
  HeadAblation ablation(2, {{0, 1, {0}, AblationMode::kZero}});
  const at::Tensor none;
  EXPECT_TRUE(ablation.HeadOutput({1, z, z, z, shape, none}, z).is_same(z));
  EXPECT_FALSE(ablation.HeadOutput({2, z, z, z, shape, none}, z).equal(z));
}

}  // namespace
}  // namespace sinkwatch::model

#include <algorithm>

#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

double Median(std::vector<double> x) {
  std::sort(x.begin(), x.end());
  const size_t n = x.size();
  return n % 2 == 1 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

class ResidualNormTest : public ::testing::TestWithParam<Shape> {};

TEST_P(ResidualNormTest, EqualsTheDefinitionOnRandomLayers) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  double sink = 0, mean = 0, median = 0, largest = 0;
  for (int64_t b = 0; b < x.B; ++b) {
    std::vector<double> rest;
    for (int64_t t = 1; t < x.T; ++t) rest.push_back(x.NormResidPost(b, t));
    sink += x.NormResidPost(b, 0) / x.B;
    for (double norm : rest) mean += norm / (x.B * rest.size());
    median += Median(rest) / x.B;
    largest += *std::max_element(rest.begin(), rest.end()) / x.B;
  }
  ExpectClose(values, "d residual_norm_sink", {sink});
  ExpectClose(values, "d residual_norm_rest_mean", {mean});
  ExpectClose(values, "d residual_norm_rest_median", {median});
  ExpectClose(values, "d residual_norm_rest_max", {largest});
  ExpectClose(values, "d residual_norm_ratio", {sink / median});
}

INSTANTIATE_TEST_SUITE_P(Shapes, ResidualNormTest,
                         ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(ResidualNormMicroTest, APlantedSpikeShowsInTheRatio) {
  LayerBatch batch = RandomLayer(Shape());
  batch.resid_post_BTD.fill_(0);
  batch.resid_post_BTD.select(2, 3).fill_(2);
  batch.resid_post_BTD.select(1, 0).select(-1, 7).fill_(600);
  batch.resid_post_BTD.select(1, 0).select(-1, 3).fill_(0);
  const Values values = Measure({batch});
  ExpectClose(values, "d residual_norm_sink", {600});
  ExpectClose(values, "d residual_norm_ratio", {300});
  ExpectClose(values, "d massive_max", {600});
}

TEST(ResidualNormMicroTest, TheEmbeddingLayerHasNothingButItsStream) {
  LayerBatch batch;
  batch.layer = -1;
  batch.resid_post_BTD = RandomLayer(Shape()).resid_post_BTD;
  const Values values = Measure({batch});
  EXPECT_EQ(values.size(), 9u);  // five norms, four of massive activations
  EXPECT_EQ(values.at("d residual_norm_sink").layer, -1);
}

TEST(ResidualNormMicroTest, Bfloat16StreamsAreSummedInFloat32) {
  LayerBatch batch;
  batch.resid_post_BTD =
      RandomLayer(Shape()).resid_post_BTD.fill_(2).to(at::kBFloat16);
  // 24 entries of 2: the root of 96, which bfloat16 cannot hold (9.8125).
  ExpectClose(Measure({batch}), "d residual_norm_rest_mean", {9.797958971});
}

}  // namespace
}  // namespace sinkwatch::metrics::test

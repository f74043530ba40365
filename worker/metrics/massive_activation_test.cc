#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class MassiveActivationTest : public ::testing::TestWithParam<Shape> {};

TEST_P(MassiveActivationTest, EqualsTheDefinitionOnRandomLayers) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  double largest = 0, median = 0, kurtosis = 0;
  const int64_t n = x.T * x.D;
  for (int64_t b = 0; b < x.B; ++b) {
    const auto begin = x.resid_post().begin() + b * n;
    const std::vector<double> own(begin, begin + n);
    std::vector<double> size;
    double mean = 0, second = 0, fourth = 0;
    for (double v : own) size.push_back(std::fabs(v));
    for (double v : own) mean += v / n;
    for (double v : own) second += std::pow(v - mean, 2) / n;
    for (double v : own) fourth += std::pow(v - mean, 4) / n;
    std::sort(size.begin(), size.end());
    largest += size.back() / x.B;
    median += (size[(n - 1) / 2] + size[n / 2]) / 2 / x.B;
    kurtosis += fourth / (second * second + 1e-6) / x.B;
  }
  ExpectClose(values, "d massive_max", {largest});
  ExpectClose(values, "d massive_median", {median});
  ExpectClose(values, "d massive_ratio", {largest / median});
  ExpectClose(values, "d residual_kurtosis", {kurtosis});
}

std::vector<Shape> EvenAndOddCounts() {
  std::vector<Shape> shapes = Shapes();
  Shape odd;
  odd.name = "odd_count";
  odd.T = 17;
  odd.D = 25;
  shapes.push_back(odd);
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(Shapes, MassiveActivationTest,
                         ::testing::ValuesIn(EvenAndOddCounts()),
                         [](const auto& info) { return info.param.name; });

// Powers of x itself would cancel here: the mean is 1000 standard deviations.
TEST(MassiveActivationMicroTest, KurtosisSurvivesALargeMean) {
  LayerBatch batch = RandomLayer(Shape());
  // Two values, half each: kurtosis 1 whatever the mean.
  batch.resid_post_BTD.fill_(1000);
  batch.resid_post_BTD.slice(-1, 0, 12).fill_(1002);
  ExpectClose(Measure({batch}), "d residual_kurtosis", {1 / (1 + 1e-6)});
}

// One entry of n stands out: with p = 1/n the kurtosis of a Bernoulli variable
// is (1 - 3p(1-p)) / (p(1-p)).
TEST(MassiveActivationMicroTest, APlantedSpikeHasTheKurtosisOfABernoulli) {
  LayerBatch batch = RandomLayer(Shape());
  batch.resid_post_BTD.fill_(0);
  batch.resid_post_BTD.select(1, 0).select(-1, 7).fill_(500);
  const double p = 1.0 / (17 * 24);
  const Values values = Measure({batch});
  ExpectClose(values, "d residual_kurtosis",
              {(1 - 3 * p * (1 - p)) / (p * (1 - p))});
  ExpectClose(values, "d massive_median", {0});
  EXPECT_EQ(values.count("d massive_ratio"), 0u);
}

}  // namespace
}  // namespace sinkwatch::metrics::test

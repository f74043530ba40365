#include "server/analytics/rise.h"

#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

double Logistic(double x) { return 1 / (1 + std::exp(-x)); }

// A logistic in ln(1 + step): of width 2 ln 9 * scale between a tenth and nine
// tenths.
std::vector<SeriesPoint> Sigmoid(const std::vector<int64_t>& steps,
                                 double centre, double scale, double error) {
  std::vector<SeriesPoint> series;
  for (int64_t step : steps) {
    const double x = LogStep(static_cast<double>(step)) - LogStep(centre);
    series.push_back({step, Logistic(x / scale), error});
  }
  return series;
}

std::vector<int64_t> Dense() {
  std::vector<int64_t> steps = {0};
  for (double s = 1; s < 1e6; s *= 1.05) {
    const auto step = static_cast<int64_t>(s * 100);
    if (step > steps.back()) steps.push_back(step);
  }
  return steps;
}

TEST(FindRiseTest, MeasuresAPlantedRise) {
  const auto rise = FindRise(Sigmoid(Dense(), 5000, .1, .01), false);
  ASSERT_TRUE(rise.has_value());
  EXPECT_GT(5000, rise->after_step());
  EXPECT_LE(5000, rise->by_step());
  EXPECT_NEAR(rise->half_step(), 5000, 15);
  // Chords of the curve at a grid of 5 %: within 2 % of its width.
  EXPECT_NEAR(rise->width(), 2 * std::log(9) * .1, .01);
  EXPECT_LE(rise->width_low(), rise->width());
  EXPECT_GE(rise->width_high(), rise->width());
  EXPECT_EQ(rise->shape(), v1::RISE_SHAPE_SHARP);
}

TEST(FindRiseTest, AWideRiseIsGradual) {
  const auto rise = FindRise(Sigmoid(Dense(), 5000, .5, .01), false);
  ASSERT_TRUE(rise.has_value());
  EXPECT_NEAR(rise->width(), 2 * std::log(9) * .5, .02);
  EXPECT_EQ(rise->shape(), v1::RISE_SHAPE_GRADUAL);
}

TEST(FindRiseTest, ARiseBetweenTwoCheckpointsIsUnresolved) {
  const auto rise = FindRise(
      {{0, 0, .01}, {1000, .02, .01}, {2000, .98, .01}, {3000, 1, .01}}, false);
  ASSERT_TRUE(rise.has_value());
  EXPECT_EQ(rise->inside(), 0);
  EXPECT_EQ(rise->shape(), v1::RISE_SHAPE_UNRESOLVED);
  EXPECT_EQ(rise->width_low(), 0);
  EXPECT_NEAR(rise->width_high(), LogStep(2000) - LogStep(1000), 1e-12);
}

TEST(FindRiseTest, FallsAreRisesOfWhatEmergesDownward) {
  const auto fall = FindRise(
      {{0, 1, .01}, {10, .9, .01}, {20, .2, .01}, {30, .1, .01}}, true);
  ASSERT_TRUE(fall.has_value());
  EXPECT_EQ(fall->after_step(), 10);
  EXPECT_EQ(fall->by_step(), 20);
  EXPECT_EQ(fall->extreme(), .1);
  EXPECT_EQ(fall->extreme_step(), 30);
  EXPECT_FALSE(
      FindRise({{0, 1, .01}, {10, .9, .01}, {20, .2, .01}}, false).has_value());
}

TEST(FindRiseTest, ATwoStageRiseIsAsWideAsBothTogether) {
  std::vector<SeriesPoint> series;
  for (int64_t step : Dense()) {
    const double x = LogStep(static_cast<double>(step));
    series.push_back({step,
                      .5 * Logistic((x - LogStep(1000)) / .05) +
                          .5 * Logistic((x - LogStep(100000)) / .05),
                      .001});
  }
  const auto rise = FindRise(series, false);
  ASSERT_TRUE(rise.has_value());
  // From a fifth of the first stage to four fifths of the second.
  EXPECT_NEAR(rise->width(), std::log(100) + 2 * .05 * std::log(4), .02);
  EXPECT_EQ(rise->shape(), v1::RISE_SHAPE_GRADUAL);
}

TEST(FindRiseTest, NoiseIsNoRise) {
  EXPECT_FALSE(FindRise({{0, .5, .1}, {1, .6, .1}, {2, .55, .1}}, false));
  EXPECT_FALSE(FindRise({{0, .5}, {1, .5}}, false));
  EXPECT_FALSE(FindRise({{0, .5}}, false));
  EXPECT_FALSE(FindRise({}, false));
}

}  // namespace
}  // namespace sinkwatch::analytics

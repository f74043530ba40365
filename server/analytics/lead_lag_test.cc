#include "server/analytics/lead_lag.h"

#include <cmath>

#include "gtest/gtest.h"
#include "server/analytics/fixed_random.h"

namespace sinkwatch::analytics {
namespace {

using Points = std::vector<SeriesPoint>;

const std::vector<int64_t> kSteps = {0,    1,    2,    4,    8,    16,   32,
                                     64,   128,  256,  512,  1000, 1500, 2000,
                                     2500, 3000, 4000, 5000, 7000, 10000};

// Of u = ln(1 + step).
template <typename Curve>
Points CurveOf(const std::vector<int64_t>& steps, const Curve& curve) {
  Points points;
  for (int64_t step : steps) {
    points.push_back({step, curve(std::log1p(static_cast<double>(step)))});
  }
  return points;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Points RiseAt(const std::vector<int64_t>& steps, double place, double width) {
  return CurveOf(steps, [&](double u) { return Sigmoid((u - place) / width); });
}

// Normal noise whose steps are even in ln(1 + step).
std::vector<double> Noise(int n, uint64_t seed) {
  FixedRandom random(seed);
  std::vector<double> values;
  for (int i = 0; i < n; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random.Uniform()));
    values.push_back(radius * std::cos(6.283185307179586 * random.Uniform()));
  }
  return values;
}

// A walk whose changes are the given ones, at steps that are nearly even in
// ln(1 + step).
Points WalkOf(const std::vector<double>& changes) {
  Points points;
  double value = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    value += changes[i];
    points.push_back(
        {static_cast<int64_t>(std::llround(1e4 * std::exp(.1 * i))), value});
  }
  return points;
}

// numpy 2.4: interp on the grid, diff, (v - mean) / std, the sum of products
// over n at each lag up to n // 4, the largest in size.
TEST(LeadLagTest, AgreesWithAnIndependentComputation) {
  const Points x = RiseAt(kSteps, 5, .5);
  Points y = RiseAt(kSteps, 6.2, .5);
  for (SeriesPoint& point : y) point.value *= -2;
  const auto found = LeadLagOf(x, y, 0);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->points, 20);
  EXPECT_EQ(found->lag, 2);
  EXPECT_NEAR(found->correlation, -.9172810784358351, 1e-12);
  EXPECT_NEAR(found->log_steps, .9695200386291071, 1e-12);
  const auto other = LeadLagOf(
      CurveOf(kSteps, [](double u) { return std::sin(3 * u); }),
      CurveOf(kSteps, [](double u) { return std::cos(2 * u + .7) + .1 * u; }),
      0);
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->lag, -1);
  EXPECT_NEAR(other->correlation, .25050439782948225, 1e-12);
}

TEST(LeadLagTest, ManyCheckpointsAreReadOffAtAHundredPlaces) {
  std::vector<int64_t> steps;
  for (int i = 0; i < 300; ++i) steps.push_back(500 * i);
  const auto found = LeadLagOf(RiseAt(steps, 8, .2), RiseAt(steps, 8.9, .2), 0);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->points, 300);
  EXPECT_EQ(found->lag, 7);
  EXPECT_NEAR(found->correlation, .9808518067407087, 1e-12);
  EXPECT_NEAR(found->log_steps, .8424788739926872, 1e-12);
}

TEST(LeadLagTest, OneThatFollowsTheOtherIsFound) {
  const std::vector<double> x = Noise(90, 1), own = Noise(90, 2);
  std::vector<double> y = own;
  for (size_t i = 4; i < y.size(); ++i) y[i] = x[i - 4] + .5 * own[i];
  const auto found = LeadLagOf(WalkOf(x), WalkOf(y), 0);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->lag, 4);
  EXPECT_GT(found->correlation, .6);
  EXPECT_LE(found->p, .002);
  const auto back = LeadLagOf(WalkOf(y), WalkOf(x), 0);
  EXPECT_EQ(back->lag, -4);
}

// Of 200 unrelated pairs a twentieth is below .05, give or take three standard
// deviations (4.6 %).
TEST(LeadLagTest, UnrelatedOnesAreRarelyTakenForRelated) {
  int below = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto found = LeadLagOf(WalkOf(Noise(60, 1000 + seed)),
                                 WalkOf(Noise(60, 5000 + seed)), 0);
    below += found->p <= .05;
  }
  EXPECT_LE(below, 20);
  EXPECT_GE(below, 1);
}

TEST(LeadLagTest, FewerThanTwelveCheckpointsAreRefused) {
  const std::vector<int64_t> few(kSteps.begin() + 8, kSteps.end());
  ASSERT_EQ(few.size(), 12u);
  EXPECT_TRUE(LeadLagOf(RiseAt(few, 7, .3), RiseAt(few, 8, .3), 0).has_value());
  EXPECT_FALSE(
      LeadLagOf(RiseAt(few, 7, .3), RiseAt(few, 8, .3), 129).has_value());
  Points gaps = RiseAt(few, 8, .3);
  gaps.erase(gaps.begin() + 5);
  EXPECT_FALSE(LeadLagOf(RiseAt(few, 7, .3), gaps, 0).has_value());
}

TEST(LeadLagTest, WhatDoesNotChangeTellsNothing) {
  const Points flat = CurveOf(kSteps, [](double) { return 3.0; });
  const Points line = CurveOf(kSteps, [](double u) { return 1 + .3 * u; });
  const Points rise = RiseAt(kSteps, 5, .5);
  EXPECT_FALSE(LeadLagOf(flat, rise, 0).has_value());
  EXPECT_FALSE(LeadLagOf(rise, line, 0).has_value());
  EXPECT_FALSE(LeadLagOf({}, {}, 0).has_value());
}

}  // namespace
}  // namespace sinkwatch::analytics

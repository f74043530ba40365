#include "server/analytics/correlation.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

const std::vector<SeriesPoint> kRising = {{0, 1}, {10, 2}, {20, 4}, {30, 8}};

TEST(CorrelateTest, AgreesWithASecondProgram) {
  const Correlation found =
      Correlate(kRising, {{0, 3}, {10, 1}, {20, 4}, {30, 5}}, 0);
  EXPECT_EQ(found.points, 4);
  EXPECT_NEAR(found.pearson, 0.7723481981143187, 1e-12);
  EXPECT_NEAR(found.spearman, 0.8, 1e-12);
}

TEST(CorrelateTest, TakesTheCheckpointsThatBothHave) {
  const Correlation found =
      Correlate(kRising, {{5, 9}, {10, -2}, {20, -4}, {30, -8}, {40, 1}}, 0);
  EXPECT_EQ(found.points, 3);
  EXPECT_NEAR(found.pearson, -1, 1e-12);
  EXPECT_NEAR(found.spearman, -1, 1e-12);
  EXPECT_TRUE(std::isnan(found.pearson_of_changes));  // two changes
  EXPECT_EQ(Correlate(kRising, kRising, 15).points, 2);
  EXPECT_TRUE(std::isnan(Correlate(kRising, kRising, 15).pearson));
}

TEST(CorrelateTest, WhatDoesNotVaryHasNone) {
  EXPECT_TRUE(std::isnan(
      Correlate(kRising, {{0, 1}, {10, 1}, {20, 1}, {30, 1}}, 0).pearson));
}

}  // namespace
}  // namespace sinkwatch::analytics

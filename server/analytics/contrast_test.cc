#include "server/analytics/contrast.h"

#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

TEST(DifferenceOfTest, AddsTheVariancesOfTwoDomains) {
  const v1::Contrast contrast = DifferenceOf({.9, .03}, {.5, .04});
  EXPECT_NEAR(contrast.difference(), .4, 1e-12);
  EXPECT_NEAR(contrast.standard_error(), .05, 1e-12);
  EXPECT_NEAR(contrast.low(), .4 - 1.96 * .05, 1e-5);
  EXPECT_NEAR(contrast.high(), .4 + 1.96 * .05, 1e-5);
  EXPECT_EQ(contrast.method(), v1::INTERVAL_METHOD_STANDARD_ERRORS);
  EXPECT_TRUE(ExcludesZero(contrast));
  EXPECT_FALSE(ExcludesZero(DifferenceOf({.5, .1}, {.4, .1})));
}

TEST(DifferenceOfTest, WithoutAnErrorThereIsNoInterval) {
  const v1::Contrast contrast = DifferenceOf({.9, NAN}, {.5, .04});
  EXPECT_NEAR(contrast.difference(), .4, 1e-12);
  EXPECT_TRUE(std::isnan(contrast.low()));
  EXPECT_TRUE(std::isnan(contrast.high()));
  EXPECT_EQ(contrast.method(), v1::INTERVAL_METHOD_UNSPECIFIED);
  EXPECT_FALSE(ExcludesZero(contrast));
}

}  // namespace
}  // namespace sinkwatch::analytics

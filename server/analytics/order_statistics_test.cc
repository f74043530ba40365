#include "server/analytics/order_statistics.h"

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

TEST(MedianOfTest, LiesBetweenTheTwoMiddleOnes) {
  EXPECT_EQ(MedianOf({3, 1, 2}), 2);
  EXPECT_EQ(MedianOf({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(MedianOf({7}), 7);
}

TEST(ScatterAroundTest, IsNotMovedByAnOutlier) {
  EXPECT_NEAR(ScatterAround(0, {-1, 1, -1, 1, 1000}), 1.4826, 1e-12);
}

TEST(RanksOfTest, EqualOnesShareTheirRank) {
  EXPECT_EQ(RanksOf({10, 30, 20, 20}), (std::vector<double>{1, 4, 2.5, 2.5}));
}

}  // namespace
}  // namespace sinkwatch::analytics

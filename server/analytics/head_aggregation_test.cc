#include "server/analytics/head_aggregation.h"

#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

TEST(AggregateHeads, FollowsTheTable) {
  const std::vector<float> values = {4, 1, 3, 2};
  // Places on 0..3: the median lies at 1.5, p90 at 2.7.
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MEAN), 2.5);
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MEDIAN), 2.5);
  EXPECT_NEAR(AggregateHeads(values, v1::AGGREGATION_P90), 3.7, 1e-12);
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MAX), 4);
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MIN), 1);
}

TEST(AggregateHeads, LeavesNanOut) {
  EXPECT_DOUBLE_EQ(AggregateHeads({NAN, 2, 4}, v1::AGGREGATION_MEAN), 3);
  EXPECT_TRUE(std::isnan(AggregateHeads({NAN}, v1::AGGREGATION_MAX)));
  EXPECT_TRUE(std::isnan(AggregateHeads({}, v1::AGGREGATION_MEAN)));
}

}  // namespace
}  // namespace sinkwatch::analytics

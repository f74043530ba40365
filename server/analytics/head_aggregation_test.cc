#include "server/analytics/head_aggregation.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

TEST(AggregateHeads, FollowsTheTable) {
  const std::vector<float> values = {4, 1, 3, 2};
  // Places on 0..3: p10 lies at 0.3, the median at 1.5, p90 at 2.7.
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MEAN), 2.5);
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MEDIAN), 2.5);
  EXPECT_NEAR(AggregateHeads(values, v1::AGGREGATION_P10), 1.3, 1e-12);
  EXPECT_NEAR(AggregateHeads(values, v1::AGGREGATION_P90), 3.7, 1e-12);
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MAX), 4);
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_MIN), 1);
  EXPECT_DOUBLE_EQ(AggregateHeads({7}, v1::AGGREGATION_P90), 7);
}

TEST(AggregateHeads, LeavesNanOut) {
  EXPECT_DOUBLE_EQ(AggregateHeads({NAN, 2, 4}, v1::AGGREGATION_MEAN), 3);
  EXPECT_TRUE(std::isnan(AggregateHeads({NAN}, v1::AGGREGATION_MAX)));
  EXPECT_TRUE(std::isnan(AggregateHeads({}, v1::AGGREGATION_MEAN)));
}

TEST(AggregateHeads, FindsTheQuantilesOfTheSortedList) {
  std::vector<float> values;
  for (int i = 0; i < 37; ++i)
    values.push_back(static_cast<float>(i * 11 % 37));
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_P10),
                   Quantile(sorted, .1));
  EXPECT_DOUBLE_EQ(AggregateHeads(values, v1::AGGREGATION_P90),
                   Quantile(sorted, .9));
}

TEST(AggregateColumns, MakesABandOfEachGroup) {
  const Matrix matrix{5,
                      {1, 2, 3, 10, 30,  //
                       3, NAN, 1, NAN, NAN}};
  const Matrix band =
      AggregateColumns(matrix, {{0, 1, 2}, {3, 4}}, v1::AGGREGATION_BAND);
  ASSERT_EQ(band.columns, 10u);
  ASSERT_EQ(band.rows(), 2u);
  // min, p10, median, p90, max
  const std::vector<float> first = {1, 1.2f, 2, 2.8f, 3, 10, 12, 20, 28, 30};
  for (size_t c = 0; c < first.size(); ++c) {
    EXPECT_NEAR(band.values[c], first[c], 1e-5) << c;
  }
  EXPECT_FLOAT_EQ(band.values[10], 1);
  EXPECT_FLOAT_EQ(band.values[12], 2);
  EXPECT_TRUE(std::isnan(band.values[15]));
}

TEST(AggregateColumns, AnswersOneNumberAGroupOtherwise) {
  const Matrix matrix{3, {1, 2, 6}};
  EXPECT_EQ(AggregateColumns(matrix, {{0, 1}, {2}}, v1::AGGREGATION_MAX).values,
            (std::vector<float>{2, 6}));
}

}  // namespace
}  // namespace sinkwatch::analytics

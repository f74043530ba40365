#include "server/analytics/paired_series.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PairOfTest, TakesTheStepsThatBothHaveFromTheFirstOn) {
  const PairedSeries pairs = PairOf({{0, 1}, {1, 2}, {3, 3}, {7, 4}, {9, 5}},
                                    {{0, 10}, {3, 30}, {5, 50}, {7, 70}}, 1);
  EXPECT_THAT(pairs.log_step, ElementsAre(std::log1p(3), std::log1p(7)));
  EXPECT_THAT(pairs.x, ElementsAre(3, 4));
  EXPECT_THAT(pairs.y, ElementsAre(30, 70));
}

TEST(PairOfTest, HasNothingWhereNothingIsShared) {
  EXPECT_THAT(PairOf({{0, 1}, {2, 2}}, {{1, 1}}, 0).x, IsEmpty());
  EXPECT_THAT(PairOf({{0, 1}}, {}, 0).log_step, IsEmpty());
}

}  // namespace
}  // namespace sinkwatch::analytics

#include "server/analytics/head_set.h"

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

TEST(ChangeOfTest, CountsWhoLeftAndWhoCame) {
  const SetChange change =
      ChangeOf({true, true, false, false}, {true, false, true, false});
  EXPECT_NEAR(change.jaccard, 1. / 3, 1e-12);
  EXPECT_EQ(change.dropouts, 1);
  EXPECT_EQ(change.newcomers, 1);
}

TEST(ChangeOfTest, EmptySetsAreTheSame) {
  EXPECT_EQ(ChangeOf({false, false}, {false, false}).jaccard, 1);
  EXPECT_EQ(ChangeOf({true}, {false}).jaccard, 0);
}

}  // namespace
}  // namespace sinkwatch::analytics

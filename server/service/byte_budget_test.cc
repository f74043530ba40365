#include "server/service/byte_budget.h"

#include "gtest/gtest.h"

namespace sinkwatch::service {
namespace {

constexpr std::chrono::hours kLong(1);
constexpr std::chrono::milliseconds kNone(0);

TEST(ByteBudgetTest, OneMayUseItUpAndThenOthersAreRefused) {
  ByteBudget budget(100, kLong);
  {
    ByteBudget::Share large(&budget, nullptr), other(&budget, nullptr);
    EXPECT_TRUE(large.Take(150));
    EXPECT_FALSE(other.Take(1));
    EXPECT_EQ(budget.held(), 150);
  }
  EXPECT_EQ(budget.held(), 0);
}

TEST(ByteBudgetTest, SharesAddUp) {
  ByteBudget budget(100, kLong);
  ByteBudget::Share one(&budget, nullptr), other(&budget, nullptr);
  EXPECT_TRUE(one.Take(60));
  EXPECT_FALSE(other.Take(60));
  EXPECT_TRUE(other.Take(30));
  EXPECT_TRUE(one.Take(10));
  EXPECT_EQ(budget.held(), 100);
}

TEST(ByteBudgetTest, WhoIsSilentLetsGoWhereAnotherNeedsIt) {
  ByteBudget budget(100, kNone);
  int ended = 0;
  ByteBudget::Share silent(&budget, [&] { ++ended; });
  ByteBudget::Share empty(&budget, [] { FAIL() << "it holds nothing"; });
  ByteBudget::Share other(&budget, nullptr);
  ASSERT_TRUE(silent.Take(90));
  EXPECT_TRUE(other.Take(10));
  EXPECT_EQ(ended, 0) << "nobody was refused";
  EXPECT_FALSE(other.Take(1));
  EXPECT_FALSE(other.Take(1));
  EXPECT_EQ(ended, 1);
}

TEST(ByteBudgetTest, WhoIsHeardOrHasAllIsLeftAlone) {
  ByteBudget patient(100, kLong), budget(100, kNone);
  ByteBudget::Share heard(&patient, [] { FAIL() << "it was heard just now"; });
  ByteBudget::Share late(&patient, nullptr);
  ASSERT_TRUE(heard.Take(100));
  EXPECT_FALSE(late.Take(1));
  ByteBudget::Share all(&budget, [] { FAIL() << "it waits for the disk"; });
  ByteBudget::Share other(&budget, nullptr);
  ASSERT_TRUE(all.Take(100));
  all.Keep();
  EXPECT_FALSE(other.Take(1));
}

}  // namespace
}  // namespace sinkwatch::service

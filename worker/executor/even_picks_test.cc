#include "worker/executor/even_picks.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EvenPicksTest, AreTheMiddlesOfEqualParts) {
  EXPECT_THAT(EvenPicks(1, 9), ElementsAre(4));
  EXPECT_THAT(EvenPicks(3, 9), ElementsAre(1, 4, 7));
  EXPECT_THAT(EvenPicks(2, 5), ElementsAre(1, 3));
}

TEST(EvenPicksTest, AreAllWhereAllAreWanted) {
  EXPECT_THAT(EvenPicks(4, 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(EvenPicks(0, 0), IsEmpty());
}

}  // namespace
}  // namespace sinkwatch::executor

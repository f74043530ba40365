#include "worker/loop/recurring_fault.h"

#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

TEST(RecurringFault, IsSaidAtOnceAndThenOnceAMinute) {
  RecurringFault fault;
  int said = 0;
  for (int second = 0; second < 181; ++second) {
    said += fault.Occurred(absl::FromUnixSeconds(1000 + second)) ? 1 : 0;
    if (second == 59) {
      EXPECT_EQ(said, 1);
    }
  }
  EXPECT_EQ(said, 4);
}

TEST(RecurringFault, ThatCameBackIsANewOne) {
  RecurringFault fault;
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_TRUE(fault.Occurred(now));
  EXPECT_FALSE(fault.Occurred(now));
  EXPECT_EQ(fault.Over(), 2);
  EXPECT_EQ(fault.Over(), 0);
  EXPECT_TRUE(fault.Occurred(now));
}

}  // namespace
}  // namespace sinkwatch::worker

#include "server/discovery/stillness.h"

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

class StillnessTest : public testing::Test {
 protected:
  StillnessTest() {
    folder_.MakeFolder("root");
    folder_.SetTime("root", then_);
    List(1);
  }
  void List(size_t names) {
    stillness_.Begin(absl::Now());
    stillness_.Add(root_, Stillness::TimeOf(root_));
    stillness_.End(names);
  }

  const WatchedFolder folder_;
  const std::string root_ = folder_.Path("root");
  const absl::Time then_ = absl::Now() - absl::Seconds(10);
  Stillness stillness_;
};

TEST_F(StillnessTest, IsBrokenByAName) {
  EXPECT_TRUE(stillness_.AreStill());
  folder_.Write("root/file", "");
  EXPECT_FALSE(stillness_.AreStill());
}

TEST_F(StillnessTest, IsBrokenByAFolderThatIsAway) {
  folder_.Delete("root");
  EXPECT_FALSE(stillness_.AreStill());
  List(1);
  EXPECT_FALSE(stillness_.AreStill());
}

TEST_F(StillnessTest, NeedsATimeThatIsNotOfJustNow) {
  folder_.SetTime("root", absl::Now() - absl::Seconds(1));
  List(1);
  EXPECT_FALSE(stillness_.AreStill());
  folder_.SetTime("root", absl::Now() + absl::Seconds(100));
  List(1);
  EXPECT_FALSE(stillness_.AreStill());
}

TEST_F(StillnessTest, IsNotBelievedAnyMoreWhereNamesChangedUnderTheSameTime) {
  List(2);
  EXPECT_FALSE(stillness_.AreStill());
  List(2);
  EXPECT_FALSE(stillness_.AreStill());
}

TEST_F(StillnessTest, AFolderThatWasListedOnceMoreIsStillAgain) {
  EXPECT_TRUE(stillness_.Changed().empty());
  folder_.Write("root/file", "");
  EXPECT_EQ(stillness_.Changed(), std::vector<std::string>{root_});
  stillness_.Renew(root_, Stillness::TimeOf(root_), absl::Now());
  EXPECT_EQ(stillness_.Changed().size(), 1u) << "a time of just now";
  folder_.SetTime("root", then_ + absl::Seconds(1));
  stillness_.Renew(root_, Stillness::TimeOf(root_), absl::Now());
  EXPECT_TRUE(stillness_.Changed().empty());
  EXPECT_TRUE(stillness_.AreStill());
  List(2);
  EXPECT_TRUE(stillness_.AreStill()) << "the names came with a time";
}

TEST_F(StillnessTest, IsBelievedWhereTheTimeChangedWithTheNames) {
  folder_.SetTime("root", then_ + absl::Seconds(1));
  List(2);
  EXPECT_TRUE(stillness_.AreStill());
}

}  // namespace
}  // namespace sinkwatch::discovery

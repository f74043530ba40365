#include "server/discovery/presence.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(120);

class PresenceTest : public testing::Test {
 protected:
  PresenceTest() {
    folder_.MakeFolder("root/stage1");
    Begin({});
  }
  void Begin(std::map<std::string, std::string> identities) {
    presence_ = std::make_unique<Presence>(folder_.Path("root"), kGrace,
                                           std::move(identities));
  }
  void Restart() { Begin(presence_->identities()); }
  // Checkpoints were there, in the root or in a folder of it.
  void See(const std::string& name = "root") {
    EXPECT_FALSE(IsDoubted(name, {0, true, true}));
  }
  // Another folder takes the root's place, as a mount point without its mount.
  void LoseMount() {
    folder_.Rename("root", "away");
    folder_.MakeFolder("root/lost+found");
  }
  bool IsDoubted(const std::string& name, const Presence::Folder& folder,
                 absl::Duration later = absl::ZeroDuration()) {
    now_ += later;
    const std::string path = folder_.Path(name);
    return presence_->Doubted({{path, folder}}, now_).count(path) != 0;
  }

  const WatchedFolder folder_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::unique_ptr<Presence> presence_;
};

TEST_F(PresenceTest, RetentionDeletesAllButOne) {
  See();
  EXPECT_FALSE(IsDoubted("root", {500, true, true}));
  Restart();
  EXPECT_FALSE(IsDoubted("root", {500, true, true}));
}

TEST_F(PresenceTest, RetentionDeletesTheOnlyOne) {
  See();
  EXPECT_FALSE(IsDoubted("root", {1, false, false}));
  Restart();
  EXPECT_FALSE(IsDoubted("root", {1, false, false}));
}

TEST_F(PresenceTest, AllOfManyAtOnceHaveToStayAway) {
  See();
  EXPECT_TRUE(IsDoubted("root", {3, false, false}));
  EXPECT_TRUE(absl::StrContains(presence_->doubt(), "mounted?"));
  EXPECT_TRUE(IsDoubted("root", {3, false, false}, kGrace));
  EXPECT_FALSE(IsDoubted("root", {3, false, false}, absl::Seconds(1)));
  EXPECT_EQ(presence_->doubt(), "");
}

TEST_F(PresenceTest, AMountThatIsAwayDeletesNothingHoweverLongItIs) {
  See();
  LoseMount();
  EXPECT_TRUE(IsDoubted("root", {9, false, false}));
  EXPECT_TRUE(IsDoubted("root", {1, false, false}, kGrace * 100));
  EXPECT_TRUE(IsDoubted("root", {1, false, true}));  // something else was left
  Restart();
  EXPECT_TRUE(IsDoubted("root", {1, false, true}));
}

TEST_F(PresenceTest, AnotherFolderThatHasOneOfThemIsTakenForWhatItIs) {
  See();
  LoseMount();
  EXPECT_FALSE(IsDoubted("root", {9, true, true}));
  EXPECT_FALSE(IsDoubted("root", {1, false, false}));  // it is the folder now
}

TEST_F(PresenceTest, AfterARestartThatKnowsNothingACheckpointIsEnough) {
  EXPECT_TRUE(IsDoubted("root", {2, false, false}));
  EXPECT_FALSE(IsDoubted("root", {2, false, true}));
}

TEST_F(PresenceTest, AStageFolderMayBeAMountOfItsOwn) {
  See("root");
  See("root/stage1");
  folder_.Rename("root/stage1", "root/away");
  folder_.MakeFolder("root/stage1/.snapshot");
  EXPECT_TRUE(IsDoubted("root/stage1", {2, false, false}));
  folder_.Delete("root/stage1");  // by somebody who has the root
  EXPECT_FALSE(IsDoubted("root/stage1", {2, false, false}));
}

}  // namespace
}  // namespace sinkwatch::discovery

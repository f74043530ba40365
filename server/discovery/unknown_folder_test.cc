#include "server/discovery/unknown_folder.h"

#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

TEST(UnknownFolderTest, LooksIntoABoundedNumberOfFolders) {
  const WatchedFolder folder;
  for (int i = 0; i < 100; ++i) {
    folder.MakeFolder("root/a" + std::to_string(100 + i));
  }
  folder.WriteCheckpoint("root/z/best");
  UnknownFolders unknown;
  EXPECT_EQ(unknown.LookInto(folder.Path("root"), 1, folder.path()).why,
            WhyAlone::kNoCheckpoint);
}

TEST(UnknownFolderTest, TakesADownloadedRepositoryForTheRootThatWouldWork) {
  const WatchedFolder folder;
  folder.Write("root/hub/models--a--b/refs/step5", "0123abcd");
  folder.WriteCheckpoint("root/hub/models--a--b/snapshots/0123abcd");
  UnknownFolders unknown;
  const UnknownFolder& found =
      unknown.LookInto(folder.Path("root/hub"), 1, folder.path());
  EXPECT_EQ(found.why, WhyAlone::kBelow);
  EXPECT_EQ(found.root, "models--a--b");
}

// nanochat's base_checkpoints/d20, modded-nanogpt's folder of a run.
TEST(UnknownFolderTest, TakesAFolderOfFlatFilesForTheRootThatWouldWork) {
  const WatchedFolder folder;
  folder.Write("root/d20/model_000100.pt", "x");
  folder.Write("root/d20/optim_000100_rank0.pt", "x");
  UnknownFolders unknown;
  const UnknownFolder& found =
      unknown.LookInto(folder.Path("root/d20"), 1, folder.path());
  EXPECT_EQ(found.why, WhyAlone::kBelow);
  EXPECT_EQ(found.root, "");
  EXPECT_EQ(found.checkpoint, "model_000100.pt");
}

TEST(UnknownFolderTest, FollowsNoLinks) {
  const WatchedFolder folder;
  folder.WriteCheckpoint("root/step5");
  folder.MakeFolder("root/loop");
  folder.Link("..", "root/loop/up");
  UnknownFolders unknown;
  EXPECT_EQ(unknown.LookInto(folder.Path("root/loop"), 1, folder.path()).why,
            WhyAlone::kNoCheckpoint);
}

TEST(UnknownFolderTest, TakesAFolderThatIsGoneForNone) {
  UnknownFolders unknown;
  EXPECT_EQ(unknown.LookInto("/nowhere/at/all", 1, "/nowhere").why,
            WhyAlone::kNoCheckpoint);
}

}  // namespace
}  // namespace sinkwatch::discovery

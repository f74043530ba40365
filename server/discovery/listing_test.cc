#include "server/discovery/listing.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

std::vector<Entry> SortedEntries(const std::string& path) {
  auto entries = ListFolder(path);
  EXPECT_TRUE(entries.ok()) << entries.status();
  if (!entries.ok()) return {};
  std::sort(entries->begin(), entries->end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return *std::move(entries);
}

TEST(ListingTest, TellsNamesSizesAndTimes) {
  const WatchedFolder folder;
  folder.Write("file", "12345");
  folder.SetTime("file", absl::FromUnixNanos(1234567890123456789));
  folder.MakeFolder("inner");
  const auto entries = SortedEntries(folder.path());
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "file");
  EXPECT_FALSE(entries[0].is_folder);
  EXPECT_EQ(entries[0].size, 5);
  EXPECT_EQ(entries[0].modified_ns, 1234567890123456789);
  EXPECT_EQ(entries[1].name, "inner");
  EXPECT_TRUE(entries[1].is_folder);
}

TEST(ListingTest, LeavesLinksOutWhereverTheyLead) {
  const WatchedFolder folder;
  folder.WriteCheckpoint("step5");
  folder.Link("step5", "latest");
  folder.Link("/etc", "step6");
  folder.Link("nowhere", "step7");
  const auto entries = SortedEntries(folder.path());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].name, "step5");
}

TEST(ListingTest, TakesALinkToAFileInTheConfinementForThatFile) {
  const WatchedFolder folder;
  folder.Write("root/blobs/aa", "12345");
  folder.SetTime("root/blobs/aa", absl::FromUnixNanos(1234567890123456789));
  folder.MakeFolder("root/snapshot/model");
  folder.MakeFolder("root/other");
  folder.Write("outside", "x");
  folder.Link("../blobs/aa", "root/snapshot/weights");
  folder.Link("../../outside", "root/snapshot/leaves");
  folder.Link("../blobs/bb", "root/snapshot/dangles");
  folder.Link("../blobs", "root/snapshot/folder");
  folder.Link("../other", "root/snapshot/model_and_optim");
  folder.Link("loop", "root/snapshot/loop");
  folder.Write("root/snapshot/model/rank0.pt", "x");
  const auto listing = ListCheckpoint(folder.Path("root/snapshot"),
                                      RealPath(folder.Path("root")).value(),
                                      {"model", "model_and_optim"});
  ASSERT_TRUE(listing.ok()) << listing.status();
  std::map<std::string, std::string> broken;
  for (const Entry& entry : listing->entries) {
    broken[entry.name] = entry.broken;
    if (entry.name != "weights") continue;
    EXPECT_EQ(entry.size, 5);
    EXPECT_EQ(entry.modified_ns, 1234567890123456789);
    EXPECT_EQ(entry.link, "../blobs/aa");
  }
  const auto is_link = [](const char* to, const char* wrong) {
    return absl::StrCat("is a link to ", to, ", which ", wrong);
  };
  EXPECT_EQ(broken,
            (std::map<std::string, std::string>{
                {"weights", ""},
                {"leaves", is_link("../../outside", "leaves the run's root")},
                {"dangles", is_link("../blobs/bb", "is not there")},
                {"folder", is_link("../blobs", "is no file")},
                {"loop", is_link("loop", "is not there")},
                {"model", ""},
                {"model_and_optim", is_link("../other", "is no file")}}));
  ASSERT_EQ(listing->folders.size(), 1u);
  EXPECT_EQ(listing->folders.at("model").size(), 1u);
}

TEST(ListingTest, LooksAtOneFileThroughLinks) {
  const WatchedFolder folder;
  folder.Write("config.json", "{}");
  folder.Link("config.json", "linked");
  EXPECT_EQ(LookAtFile(folder.Path("linked"))->size, 2);
  EXPECT_EQ(LookAtFile(folder.path()).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(LookAtFile(folder.Path("missing")).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ListingTest, TellsAMissingFolderFromAnEmptyOne) {
  const WatchedFolder folder;
  folder.MakeFolder("empty");
  folder.Write("file", "");
  EXPECT_TRUE(SortedEntries(folder.Path("empty")).empty());
  for (const char* name : {"missing", "file"}) {
    const auto status = ListFolder(folder.Path(name)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), folder.Path(name)));
  }
}

// As mounts have it (relatime), reading would set the time of a folder that was
// not read since it changed.
TEST(ListingTest, LeavesNoTimeOfAccessBehind) {
  const WatchedFolder folder;
  folder.WriteCheckpoint("step1");
  const auto accessed = [&] {
    struct stat status = {};
    EXPECT_EQ(stat(folder.Path("step1").c_str(), &status), 0);
    return absl::TimeFromTimespec(status.st_atim);
  };
  folder.SetTime("step1", absl::UnixEpoch());
  ASSERT_TRUE(ListFolder(folder.Path("step1")).ok());
  ASSERT_TRUE(ListNames(folder.Path("step1")).ok());
  EXPECT_EQ(accessed(), absl::UnixEpoch());
}

TEST(ListingTest, CallsAFolderThatCannotBeReadUnavailable) {
  // Longer than a path may be: an error that is not "it is not there", for
  // every user, root too.
  const std::string path = "/" + std::string(200, 'a');
  std::string too_long;
  for (int i = 0; i < 25; ++i) too_long += path;
  EXPECT_EQ(ListFolder(too_long).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sinkwatch::discovery

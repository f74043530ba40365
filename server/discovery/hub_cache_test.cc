#include "server/discovery/hub_cache.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/discovery/listing.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

class HubCacheTest : public testing::Test {
 protected:
  HubCacheTest() { run_.set_root(folder_.Path("models--org--name")); }

  void Write(const std::string& name, const std::string& text) {
    folder_.Write("models--org--name/" + name, text);
  }
  std::map<std::string, Candidate> Revisions() {
    found_ = {};
    const std::optional<server::NamePattern> no_pattern;
    const auto status = FindRevisions(
        {run_, no_pattern, RealPath(run_.root()).value()}, unknown_, &found_);
    EXPECT_TRUE(status.ok()) << status;
    std::map<std::string, Candidate> by_key;
    for (const Candidate& c : found_.candidates) {
      by_key[absl::StrCat(c.stage, ":", c.step)] = c;
    }
    EXPECT_EQ(by_key.size(), found_.candidates.size());
    return by_key;
  }

  const WatchedFolder folder_;
  v1::RunConfig run_;
  UnknownFolders unknown_;
  Found found_;
};

TEST_F(HubCacheTest, IsKnownByItsFolders) {
  Write("refs/main", "a1");
  EXPECT_FALSE(IsHubCache(ListFolder(run_.root()).value()));
  Write("snapshots/a1/config.json", "{}");
  EXPECT_TRUE(IsHubCache(ListFolder(run_.root()).value()));
}

TEST_F(HubCacheTest, HasACandidateForEachRevisionOfAStep) {
  const std::string commit(40, 'a');
  Write("refs/main", commit);
  Write("refs/pr/1", commit);
  Write("refs/stage1-step150-tokens1B", commit);
  Write("refs/stage2/step5", commit + "\n");
  Write("refs/step6", std::string(40, 'b'));
  const auto revisions = Revisions();
  ASSERT_EQ(revisions.size(), 3u);
  EXPECT_EQ(revisions.at("stage1:150").tokens, 1000000000);
  EXPECT_EQ(revisions.at("stage1:150").path,
            run_.root() + "/snapshots/" + commit);
  EXPECT_EQ(revisions.at("stage2:5").path,
            run_.root() + "/snapshots/" + commit);
  EXPECT_TRUE(revisions.at(":6").is_listed);
}

TEST_F(HubCacheTest, SaysWhichRevisionsAndSnapshotsAreOfNoStep) {
  const std::string step(40, 'a'), other(40, 'b');
  Write("refs/step5", step);
  Write("refs/main", other);
  Write("refs/pr/1", other);
  Write("snapshots/" + step + "/config.json", "{}");
  Write("snapshots/" + other + "/config.json", "{}");
  Revisions();
  const auto left = found_.left.Report();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].kind(), "no-step");
  EXPECT_EQ(absl::StrJoin(left[0].examples(), " "),
            "refs/main refs/pr/1 snapshots/" + other);
}

// Repositories that have a folder for each step in one revision.
TEST_F(HubCacheTest, FollowsTheStepFoldersOfOtherRevisions) {
  const std::string all(40, 'a'), last(40, 'b');
  Write("refs/main", all);
  Write("refs/v2", last);
  Write("refs/empty", std::string(40, 'c'));
  for (const std::string& path :
       {all + "/checkpoint-400/", all + "/stage1/step5/", last + "/step5/"}) {
    Write("snapshots/" + path + "config.json", "{}");
  }
  Write("snapshots/" + all + "/README.md", "x");
  const auto revisions = Revisions();
  ASSERT_EQ(revisions.size(), 3u);
  EXPECT_EQ(revisions.at(":400").path,
            run_.root() + "/snapshots/" + all + "/checkpoint-400");
  EXPECT_TRUE(revisions.at(":400").is_download);
  EXPECT_EQ(revisions.count("stage1:5"), 1u);
  EXPECT_EQ(revisions.count("v2:5"), 1u);
  const auto left = found_.left.Report();
  ASSERT_EQ(left.size(), 2u);
  EXPECT_EQ(absl::StrJoin(left[0].examples(), " "),
            "snapshots/" + all + "/README.md");
  EXPECT_EQ(absl::StrJoin(left[1].examples(), " "), "refs/empty");
}

TEST_F(HubCacheTest, ReadsRevisionsOfSeriesThatAreNamedOtherwise) {
  const std::string commit(40, 'a');
  for (const char* name : {"240b_tokens", "lc-4k-to-32k-step-4000",
                           "step69369-seed-default", "checkpoint-400"}) {
    Write(absl::StrCat("refs/", name), commit);
  }
  const auto revisions = Revisions();
  EXPECT_EQ(revisions.size(), 4u);
  EXPECT_EQ(revisions.count("tokens:240000000000"), 1u);
  EXPECT_EQ(revisions.count("lc-4k-to-32k:4000"), 1u);
  EXPECT_EQ(revisions.count("seed-default:69369"), 1u);
  EXPECT_TRUE(revisions.at(":400").is_download);
}

TEST_F(HubCacheTest, WaitsForARevisionThatHoldsNoCommit) {
  Write("refs/step1", "");
  Write("refs/step2", "../../../etc");
  Write("refs/step3", std::string(65, 'a'));
  for (const auto& [key, candidate] : Revisions()) {
    EXPECT_EQ(candidate.why_missing,
              absl::StrCat("refs/step", candidate.step, " holds no commit"));
  }
}

TEST_F(HubCacheTest, MarksLinksToBlobsThatAreBeingDownloaded) {
  Write("blobs/aa", "whole");
  Write("blobs/bb.1234.incomplete", "half");
  Write("blobs/cc", "old");
  Write("blobs/cc.incomplete", "new");
  Write("snapshots/a1/plain.txt", "a copy");
  for (const char* blob : {"aa", "bb", "cc"}) {
    folder_.Link(absl::StrCat("../../blobs/", blob),
                 absl::StrCat("models--org--name/snapshots/a1/", blob));
  }
  auto listing = ListCheckpoint(run_.root() + "/snapshots/a1",
                                RealPath(run_.root()).value(), {});
  ASSERT_TRUE(listing.ok());
  const auto downloads = DownloadsIn(run_.root());
  ASSERT_TRUE(downloads.ok());
  MarkDownloads(*downloads, &*listing);
  std::map<std::string, std::string> broken;
  for (const Entry& entry : listing->entries) {
    broken[entry.name] = entry.broken;
  }
  EXPECT_EQ(broken, (std::map<std::string, std::string>{
                        {"aa", ""},
                        {"bb",
                         "is still being downloaded: blobs/bb has a file "
                         ".incomplete beside it"},
                        {"cc",
                         "is still being downloaded: blobs/cc has a file "
                         ".incomplete beside it"},
                        {"plain.txt", ""}}));
}

TEST_F(HubCacheTest, LeavesWhatIsNotOfTheCacheToOthers) {
  for (const char* path : {"refs/step1", "snapshots/a1/x", "blobs/aa",
                           ".no_exist/a1/y", "step5/config.json", "notes"}) {
    Write(path, "x");
  }
  const auto entries =
      ListRoot(run_.root(), RealPath(run_.root()).value()).value();
  std::vector<std::string> beside;
  for (const Entry& entry : BesideHubCache(entries)) {
    beside.push_back(entry.name);
  }
  EXPECT_EQ(beside, (std::vector<std::string>{"notes", "step5"}));
}

TEST_F(HubCacheTest, NeedsNoBlobs) {
  Write("snapshots/a1/config.json", "{}");
  EXPECT_TRUE(DownloadsIn(run_.root()).value().empty());
}

}  // namespace
}  // namespace sinkwatch::discovery

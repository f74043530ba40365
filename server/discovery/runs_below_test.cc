#include "server/discovery/runs_below.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

class RunsBelowTest : public testing::Test {
 protected:
  RunsBelowTest() {
    folder_.MakeFolder("root");
    run_.set_name("sweep");
    run_.set_root(folder_.Path("root"));
    run_.set_probe("/probe");
  }
  RunsFound Find(const std::string& pattern) {
    run_.mutable_runs_below()->set_pattern(pattern);
    auto found = FindRunsBelow(run_);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : RunsFound();
  }
  std::string NamesOf(const RunsFound& found) {
    std::vector<std::string> names;
    for (const v1::RunConfig& run : found.runs) names.push_back(run.name());
    return absl::StrJoin(names, " ");
  }

  const WatchedFolder folder_;
  v1::RunConfig run_;
};

TEST_F(RunsBelowTest, FindsEachFolderThatThePatternMeans) {
  folder_.WriteCheckpoint("root/run-a/step10");
  folder_.WriteCheckpoint("root/run-b/step10");
  folder_.MakeFolder("root/logs");
  folder_.Write("root/notes.txt", "x");
  const RunsFound found = Find("run-(?P<name>.*)");
  EXPECT_EQ(NamesOf(found), "sweep.run-a sweep.run-b");
  const v1::RunConfig& first = found.runs[0];
  EXPECT_EQ(first.root(), folder_.Path("root/run-a"));
  EXPECT_EQ(first.probe(), "/probe");
  EXPECT_EQ(first.found_below(), "sweep");
  EXPECT_FALSE(first.has_runs_below());
  EXPECT_EQ(first.labels().at("name"), "a");
  ASSERT_EQ(found.survey.left_alone.size(), 2u);
  EXPECT_EQ(found.survey.left_alone[0].kind(), "file");
  EXPECT_EQ(found.survey.left_alone[1].kind(), "no-run");
  EXPECT_EQ(found.survey.left_alone[1].examples(0), "logs");
}

TEST_F(RunsBelowTest, LooksThreeDeepAndNotBelowARun) {
  folder_.MakeFolder("root/70M/seed-1/seed-9");
  folder_.MakeFolder("root/70M/seed-2");
  folder_.MakeFolder("root/a/b/c");
  folder_.MakeFolder("root/a/b/c/d");
  EXPECT_EQ(NamesOf(Find("(?P<size>\\d+M)/seed-(?P<seed>\\d+)")),
            "sweep.70m.seed-1 sweep.70m.seed-2");
  EXPECT_EQ(NamesOf(Find("a/b/c")), "sweep.a.b.c");
  EXPECT_EQ(NamesOf(Find("a/b/c/d")), "");
}

TEST_F(RunsBelowTest, GivesEachRunANameOfItsOwn) {
  const std::string longest(100, 'x');
  for (const char* name : {"Run A", "run-a", longest.c_str()}) {
    folder_.MakeFolder(absl::StrCat("root/", name));
  }
  const RunsFound found = Find("[^/]+");
  ASSERT_EQ(found.runs.size(), 3u);
  EXPECT_EQ(found.runs[0].name(), "sweep.run-a");
  EXPECT_EQ(found.runs[1].name().size(),
            std::string("sweep.run-a-").size() + 8);
  EXPECT_EQ(found.runs[2].name().size(), 64u);
}

TEST_F(RunsBelowTest, FollowsLinksAsFarAsTheRoot) {
  folder_.MakeFolder("root/store/x");
  folder_.MakeFolder("elsewhere");
  folder_.Link("store/x", "root/run-a");
  folder_.Link("../elsewhere", "root/run-b");
  folder_.Link(".", "root/loop");
  const RunsFound found = Find("run-.");
  EXPECT_EQ(NamesOf(found), "sweep.run-a");
  EXPECT_EQ(found.survey.left_alone[0].kind(), "link-out");
}

TEST_F(RunsBelowTest, SaysThatTheRootIsNotThere) {
  run_.set_root(folder_.Path("nowhere"));
  run_.mutable_runs_below()->set_pattern(".*");
  EXPECT_EQ(FindRunsBelow(run_).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sinkwatch::discovery

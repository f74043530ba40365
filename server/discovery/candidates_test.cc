#include "server/discovery/candidates.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/discovery/listing.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

class CandidatesTest : public testing::Test {
 protected:
  CandidatesTest() {
    folder_.MakeFolder("root");
    run_.set_root(folder_.Path("root"));
  }
  void MakeFolders(const std::vector<std::string>& names) {
    for (const std::string& name : names) folder_.MakeFolder("root/" + name);
  }
  // Path below the root by "stage:step".
  std::map<std::string, std::string> PathsOf(
      const std::vector<Candidate>& candidates) {
    std::map<std::string, std::string> paths;
    for (const Candidate& c : candidates) {
      const std::string path = c.path.substr(run_.root().size() + 1);
      std::string& to = paths[absl::StrCat(c.stage, ":", c.step)];
      absl::StrAppend(&to, to.empty() ? "" : " ",
                      c.why_missing.empty() ? path : "missing " + path);
    }
    return paths;
  }
  std::map<std::string, std::string> Rows(const std::string& text) {
    found_ = {};
    const auto status =
        FindManifestRows(run_, ParseManifest("m.csv", text).value(), &found_);
    EXPECT_TRUE(status.ok()) << status;
    return PathsOf(found_.candidates);
  }

  const WatchedFolder folder_;
  v1::RunConfig run_;
  Found found_;
};

using Paths = std::map<std::string, std::string>;

constexpr char kStages[] =
    "Stage,Step,Checkpoint Directory\n"
    "s1,5,https://host/ai2/olmo/step5/\n"
    "s2,5,https://host/ai2/olmo/stage2/ingredient1/step5/\n";

TEST_F(CandidatesTest, FindsARowByTheEndOfItsDirectory) {
  MakeFolders({"step5", "stage2/ingredient1/step5"});
  EXPECT_EQ(Rows(kStages),
            (Paths{{"s1:5", "step5"}, {"s2:5", "stage2/ingredient1/step5"}}));
}

TEST_F(CandidatesTest, FindsARowInAMirrorOfMore) {
  MakeFolders({"ai2/olmo/step5", "olmo/stage2/ingredient1/step5"});
  EXPECT_EQ(Rows(kStages), (Paths{{"s1:5", "ai2/olmo/step5"},
                                  {"s2:5", "olmo/stage2/ingredient1/step5"}}));
}

TEST_F(CandidatesTest, NeverTakesOneStagesFolderForAnothers) {
  MakeFolders({"step5", "ingredient1/step5"});
  EXPECT_EQ(
      Rows(kStages),
      (Paths{{"s1:5", "step5"}, {"s2:5", "missing stage2/ingredient1/step5"}}));
}

TEST_F(CandidatesTest, SaysWhereAMissingRowIsLookedFor) {
  Rows(kStages);
  const std::vector<Candidate>& found = found_.candidates;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].why_missing,
            absl::StrCat("not there yet: ", run_.root(), "/step5"));
  EXPECT_TRUE(found[0].is_listed);
}

TEST_F(CandidatesTest, NotesTheTimesByWhichItIsKnownThatNothingCame) {
  MakeFolders({"step5", "olmo/stage2"});
  Rows(kStages);
  std::map<std::string, int64_t> times(found_.listed.begin(),
                                       found_.listed.end());
  for (const char* name : {"root/olmo", "root/olmo/stage2"}) {
    EXPECT_NE(times[folder_.Path(name)], 0) << name;
  }
  // What is not there has no time: it comes into a folder that is.
  EXPECT_EQ(times.count(folder_.Path("root/stage2")), 0u);
  EXPECT_NE(found_.candidates[0].modified_ns, 0);
}

TEST_F(CandidatesTest, LeavesTheRootThroughNoLink) {
  folder_.MakeFolder("elsewhere/ingredient1/step5");
  folder_.Link("../elsewhere", "root/stage2");
  EXPECT_EQ(Rows(kStages)["s2:5"], "missing stage2/ingredient1/step5");
}

TEST_F(CandidatesTest, PutsAnIngredientIntoTheRunsStage) {
  run_.set_stage("stage2");
  MakeFolders({"x1/step5"});
  EXPECT_EQ(Rows("Ingredient,Step,Checkpoint Directory\n1,5,a/x1/step5\n"
                 "soup,5,a/soup/step5-unsharded\n"),
            (Paths{{"stage2-ingredient1:5", "x1/step5"},
                   {"stage2-soup:5", "missing soup/step5-unsharded"}}));
}

}  // namespace
}  // namespace sinkwatch::discovery

#include "server/discovery/manifest.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kHost[] = "https://olmo-checkpoints.org/ai2-llm/";

Manifest Parse(const std::string& text) {
  auto manifest = ParseManifest("series.csv", text);
  EXPECT_TRUE(manifest.ok()) << manifest.status();
  return manifest.ok() ? *std::move(manifest) : Manifest();
}

TEST(ManifestTest, ReadsTheFourPublishedHeaders) {
  struct Case {
    std::string text;
    const char* stage;
    int64_t tokens;
  };
  const Case cases[] = {
      {absl::StrCat("Step,Checkpoint Directory\n7,", kHost, "a/step7/"), "", 0},
      {absl::StrCat("Ingredient,Step,Checkpoint Directory\n2,7,", kHost,
                    "a/step7/\n"),
       "ingredient2", 0},
      {absl::StrCat("Ingredient,Step,Checkpoint Directory\r\nsoup,7,", kHost,
                    "a/soup/step7-unsharded/\r\n"),
       "soup", 0},
      {absl::StrCat("Stage,Step,Checkpoint Directory\nstage1_pretraining,7,",
                    kHost, "a/step7/\n\n"),
       "stage1_pretraining", 0},
      {absl::StrCat("Stage,Step,Tokens Seen,Checkpoint Directory\n"
                    "stage1_pretraining,7,29360128,",
                    kHost, "a/step7"),
       "stage1_pretraining", 29360128},
  };
  for (const Case& c : cases) {
    const Manifest manifest = Parse(c.text);
    ASSERT_EQ(manifest.rows.size(), 1u) << c.text;
    EXPECT_EQ(manifest.rows[0].stage, c.stage) << c.text;
    EXPECT_EQ(manifest.rows[0].step, 7) << c.text;
    EXPECT_EQ(manifest.rows[0].tokens, c.tokens) << c.text;
    EXPECT_EQ(manifest.rows[0].path[0], "ai2-llm") << c.text;
  }
}

TEST(ManifestTest, FindsWhatAllDirectoriesHaveInCommon) {
  EXPECT_EQ(Parse("Step,Checkpoint Directory\n1,a/b/step1\n2,a/b/step2").common,
            2u);
  EXPECT_EQ(Parse("Step,Checkpoint Directory\n1,a/b/step1\n2,a/c/step2").common,
            1u);
  EXPECT_EQ(Parse("Step,Checkpoint Directory\n1,a/b/step1").common, 2u);
  EXPECT_EQ(Parse("Step,Checkpoint Directory\n1,step1").common, 0u);
  EXPECT_EQ(Parse("Stage,Step,Checkpoint Directory\n"
                  "s1,1,a/step1\ns2,1,a/stage2/step1\ns2,2,a/stage2/step2")
                .common,
            1u);
}

TEST(ManifestTest, TakesARowThatIsThereTwiceOnceAndTwoPlacesOfAStepTwice) {
  EXPECT_EQ(
      Parse("Step,Checkpoint Directory\n1,a/step1/\n1,a/step1\n").rows.size(),
      1u);
  EXPECT_EQ(Parse("Step,Checkpoint Directory\n1,a/x/step1\n1,a/y/step1\n")
                .rows.size(),
            2u);
}

// Of each row its step and why it is bad.
std::vector<std::string> RowsOf(const std::string& text) {
  std::vector<std::string> rows;
  for (const ManifestRow& row : Parse(text).rows) {
    rows.push_back(absl::StrCat(row.stage, ":", row.step, " ", row.why_bad));
  }
  return rows;
}

// OLMo-2-1124-13B-stage2.csv has such a row.
TEST(ManifestTest, TakesARowOfAnotherStepsDirectoryAsTheOnlyBadOne) {
  EXPECT_EQ(RowsOf("Ingredient,Step,Checkpoint Directory\n"
                   "3,11000,a/step11000-unsharded/\n"
                   "3,11931,a/step11000-unsharded/\n"
                   "4,1000,b/step1000-unsharded/\n"),
            (std::vector<std::string>{
                "ingredient3:11000 ",
                "ingredient3:11931 series.csv:3: the row is of step 11931, its "
                "directory step11000-unsharded of step 11000",
                "ingredient4:1000 "}));
}

TEST(ManifestTest, FollowsNoneOfTheRowsThatHaveOneDirectory) {
  EXPECT_EQ(
      RowsOf("Step,Checkpoint Directory\n1,a/x\n2,a/x\n3,a/y\n4,a/x\n1,a/x\n"),
      (std::vector<std::string>{
          ":1 series.csv:2: its directory is that of line 3, step 2, as well",
          ":2 series.csv:3: its directory is that of line 2, step 1, as well",
          ":3 ",
          ":4 series.csv:5: its directory is that of line 2, step 1, as "
          "well"}));
  EXPECT_EQ(
      RowsOf("Stage,Step,Checkpoint Directory\ns,1,a/step1\nt,1,a/step1/\n"),
      (std::vector<std::string>{
          "s:1 series.csv:2: its directory is that of line 3, step 1, as well",
          "t:1 series.csv:3: its directory is that of line 2, step 1, as "
          "well"}));
}

TEST(ManifestTest, NamesFileLineAndRule) {
  struct Case {
    const char* text;
    const char* place;
    const char* rule;
  };
  const std::string many(70, 's');
  const std::string long_stage =
      absl::StrCat("Stage,Step,Checkpoint Directory\n", many, ",1,a/step1");
  const Case cases[] = {
      {"", "series.csv:1: ", "the header is none of Step,Checkpoint"},
      {"step,dir\n", "series.csv:1: ", "the header is none of"},
      {"Dataset,Data Directory\n", "series.csv:1: ", "is none of"},
      {"Step,Checkpoint Directory\n1\n", "series.csv:2: ", "1 fields"},
      {"Step,Checkpoint Directory\n1,a/step1\n2,a,b\n",
       "series.csv:3: ", "3 fields, where the header has 2"},
      {"Step,Checkpoint Directory\n-1,a/step1\n",
       "series.csv:2: ", "\"-1\" is no step"},
      {"Step,Checkpoint Directory\n1e3,a/step1\n",
       "series.csv:2: ", "is no step"},
      {"Step,Checkpoint Directory\n9223372036854775808,a/x\n",
       "series.csv:2: ", "is no step"},
      {"Step,Checkpoint Directory\n,a/step1\n",
       "series.csv:2: ", "\"\" is no step"},
      {"Stage,Step,Tokens Seen,Checkpoint Directory\ns,1,1B,a/step1\n",
       "series.csv:2: ", "\"1B\" is no number of tokens"},
      {"Stage,Step,Checkpoint Directory\n,1,a/step1\n",
       "series.csv:2: ", "is no name of a stage"},
      {"Stage,Step,Checkpoint Directory\na/b,1,a/step1\n",
       "series.csv:2: ", "is no name of a stage"},
      {long_stage.c_str(), "series.csv:2: ", "is no name of a stage"},
      {"Step,Checkpoint Directory\n1,\"a/step1\"\n",
       "series.csv:2: ", "quoted fields are not read"},
      {"Step,Checkpoint Directory\n1,\n", "series.csv:2: ", "no plain path"},
      {"Step,Checkpoint Directory\n1,https://host\n",
       "series.csv:2: ", "no plain path"},
      {"Step,Checkpoint Directory\n1,a/../step1\n",
       "series.csv:2: ", "no plain path"},
      {"Step,Checkpoint Directory\n1,a//step1\n",
       "series.csv:2: ", "no plain path"},
      {"Step,Checkpoint Directory\n1,a/\001/step1\n",
       "series.csv:2: ", "no plain path"},
  };
  for (const Case& c : cases) {
    const auto status = ParseManifest("series.csv", c.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_TRUE(absl::StartsWith(status.message(), c.place)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), c.rule)) << status;
  }
}

TEST(ManifestTest, SaysWhichFileCannotBeOpened) {
  const auto status = ReadManifest("/nowhere/series.csv").status();
  EXPECT_TRUE(absl::StrContains(status.message(), "/nowhere/series.csv"));
}

}  // namespace
}  // namespace sinkwatch::discovery

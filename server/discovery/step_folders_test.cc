#include "server/discovery/step_folders.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/discovery/hub_cache.h"
#include "server/discovery/listing.h"
#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {
namespace {

using Paths = std::map<std::string, std::string>;

class StepFoldersTest : public testing::Test {
 protected:
  StepFoldersTest() {
    folder_.MakeFolder("root");
    run_.set_root(folder_.Path("root"));
  }
  void MakeFolders(const std::vector<std::string>& names) {
    for (const std::string& name : names) folder_.MakeFolder("root/" + name);
  }
  // Path below the root by "stage:step"; the rest is in found_.
  Paths StepFolders() {
    found_ = {};
    const std::string real_root = RealPath(run_.root()).value();
    std::optional<server::NamePattern> pattern;
    if (!run_.step_pattern().empty()) {
      pattern = server::NamePattern::Compile(run_.step_pattern()).value();
    }
    const auto status = FindStepFolders(
        {run_, pattern, real_root}, ListRoot(run_.root(), real_root).value(),
        unknown_, &found_);
    EXPECT_TRUE(status.ok()) << status;
    Paths paths;
    for (const Candidate& c : found_.candidates) {
      std::string& to = paths[absl::StrCat(c.stage, ":", c.step)];
      absl::StrAppend(&to, to.empty() ? "" : " ",
                      c.path.substr(run_.root().size() + 1));
    }
    return paths;
  }
  // What was left alone, by kind.
  Paths LeftAlone() {
    StepFolders();
    Paths left;
    for (const v1::LeftAlone& entry : found_.left.Report()) {
      left[entry.kind()] = absl::StrJoin(entry.examples(), " ");
    }
    return left;
  }

  const WatchedFolder folder_;
  v1::RunConfig run_;
  UnknownFolders unknown_;
  Found found_;
};

TEST_F(StepFoldersTest, KeepsStagesIngredientsAndAveragesOfOneStepApart) {
  MakeFolders({"step5", "stage1/step5", "stage2/ingredient1/step5-unsharded",
               "stage2/olmo-7b-1124_stage2_ingredient2/step5",
               "stage2/soup/step5-unsharded", "stage3/step5",
               "stage3/step5+4+3-nooptim-reshard32",
               "stage2/souped/stage2-ingredient1+2-step5",
               "stage1-step5-tokens1B", "stage1/deeper1/step6", "logs/step7"});
  EXPECT_EQ(
      StepFolders(),
      (Paths{{":5", "step5"},
             {"stage1:5", "stage1/step5 stage1-step5-tokens1B"},
             {"stage2/ingredient1:5", "stage2/ingredient1/step5-unsharded"},
             {"stage2/olmo-7b-1124_stage2_ingredient2:5",
              "stage2/olmo-7b-1124_stage2_ingredient2/step5"},
             {"stage2/soup:5", "stage2/soup/step5-unsharded"},
             {"stage3:5", "stage3/step5"},
             {"stage3/+4+3-nooptim-reshard32:5",
              "stage3/step5+4+3-nooptim-reshard32"},
             {"stage2/souped/stage2-ingredient1+2:5",
              "stage2/souped/stage2-ingredient1+2-step5"}}));
}

TEST_F(StepFoldersTest, GivesTheRunsStageToWhatHasNone) {
  run_.set_stage("anneal");
  MakeFolders({"step5", "stage1/step5", "step5+4"});
  EXPECT_EQ(StepFolders(), (Paths{{"anneal:5", "step5"},
                                  {"stage1:5", "stage1/step5"},
                                  {"anneal/+4:5", "step5+4"}}));
}

TEST_F(StepFoldersTest, LeavesConversionsAloneUnlessTheRunWantsThem) {
  MakeFolders({"step5", "step5-hf", "stage1/step5-hf"});
  EXPECT_EQ(StepFolders(), (Paths{{":5", "step5"}}));
  run_.set_include_hf_siblings(true);
  EXPECT_EQ(StepFolders(), (Paths{{":5", "step5"},
                                  {"hf:5", "step5-hf"},
                                  {"stage1/hf:5", "stage1/step5-hf"}}));
}

TEST_F(StepFoldersTest, FollowsNoLinksToWhatIsFoundAndNoFilesOfSuchNames) {
  MakeFolders({"step5"});
  folder_.Link("step5", "root/latest");
  folder_.Link("step5", "root/step6");
  folder_.Link(".", "root/stage1");
  folder_.Write("root/step7", "a file");
  folder_.Write("root/latest-unsharded", "step5");
  EXPECT_EQ(StepFolders(), (Paths{{":5", "step5"}}));
}

TEST_F(StepFoldersTest, FollowsALinkToAFolderInTheRootUnderItsOwnName) {
  folder_.WriteCheckpoint("root/store/aa11");
  folder_.Link("store/aa11", "root/step5");
  folder_.Link(folder_.Path("root/store/aa11"), "root/step6");
  EXPECT_EQ(StepFolders(), (Paths{{":5", "store/aa11"}, {":6", "store/aa11"}}));
}

TEST_F(StepFoldersTest, SaysWhichLinksItDoesNotFollow) {
  MakeFolders({"step5"});
  folder_.WriteCheckpoint("elsewhere/step10");
  folder_.Link("../elsewhere/step10", "root/step10");
  folder_.Link("nowhere", "root/step11");
  folder_.Link("step5", "root/latest");
  folder_.Link("step5", "root/step6");
  EXPECT_EQ(LeftAlone(), (Paths{{"link", "latest step6"},
                                {"link-broken", "step11"},
                                {"link-out", "step10"}}));
  EXPECT_EQ(StepFolders(), (Paths{{":5", "step5"}}));
}

TEST_F(StepFoldersTest, SaysOfEveryOtherEntryWhyItIsLeftAlone) {
  MakeFolders({"step5", "step6-tmp", "step7-hf", "logs", ".cache", "wandb/x"});
  folder_.WriteCheckpoint("root/best");
  folder_.WriteCheckpoint("root/hf/step-500");
  folder_.Write("root/notes.txt", "x");
  folder_.Write("root/model.safetensors.part", "x");
  EXPECT_EQ(LeftAlone(),
            (Paths{{"below", "hf"},
                   {"conversion", "step7-hf"},
                   {"file", "notes.txt"},
                   {"no-checkpoint", ".cache logs wandb"},
                   {"no-step", "best"},
                   {"under-way", "model.safetensors.part step6-tmp"}}));
}

TEST_F(StepFoldersTest, SaysOfFilesWhetherTheyLackAStepOrAreOfAnotherForm) {
  for (const char* name :
       {"model.safetensors", "last.ckpt", "ep0-ba100-rank0.pt",
        "model-step20-Q4_K_M.gguf", "step100.tar.gz", "ckpt_6000.npz",
        "adapters.safetensors", "train.bin", "data.npz", "data.tar",
        "optimizer.pt", "training_args.bin", "trainer_state.json"}) {
    folder_.Write(std::string("root/") + name, "x");
  }
  EXPECT_EQ(
      LeftAlone(),
      (Paths{{"file",
              "data.npz data.tar optimizer.pt train.bin trainer_state.json "
              "training_args.bin"},
             {"foreign",
              "adapters.safetensors ckpt_6000.npz ep0-ba100-rank0.pt "
              "model-step20-Q4_K_M.gguf step100.tar.gz"},
             {"no-step", "last.ckpt model.safetensors"}}));
}

TEST_F(StepFoldersTest, NamesTheRootThatWouldWork) {
  folder_.WriteCheckpoint("root/a/run-a/step10");
  folder_.WriteCheckpoint("root/b/0001000");
  folder_.WriteCheckpoint("root/c/final/try1");
  StepFolders();
  EXPECT_EQ(found_.other_roots,
            (Paths{{folder_.Path("root/a/run-a"), "step10"},
                   {folder_.Path("root/b"), "0001000"},
                   {folder_.Path("root/c/final"), "try1"}}));
}

TEST_F(StepFoldersTest, LooksAgainIntoAFolderThatChanged) {
  MakeFolders({"hf"});
  EXPECT_EQ(LeftAlone(), (Paths{{"no-checkpoint", "hf"}}));
  folder_.MakeFolder("root/hf/step-500");
  folder_.SetTime("root/hf", absl::Now() + absl::Seconds(5));
  EXPECT_EQ(LeftAlone(), (Paths{{"below", "hf"}}));
}

TEST_F(StepFoldersTest, LooksAgainIntoEveryFolderNowAndThen) {
  MakeFolders({"final"});
  folder_.SetTime("root/final", absl::UnixEpoch() + absl::Hours(1));
  EXPECT_EQ(LeftAlone(), (Paths{{"no-checkpoint", "final"}}));
  folder_.Write("root/final/model.safetensors", "weights");
  folder_.SetTime("root/final", absl::UnixEpoch() + absl::Hours(1));
  for (int look = 0; look < 16; ++look) unknown_.NextLook();
  // Forgotten, because nobody asked, or seen too long ago: looked into again.
  EXPECT_EQ(LeftAlone(), (Paths{{"no-step", "final"}}));
}

TEST_F(StepFoldersTest, TakesAStageFolderOfALooseNameForOne) {
  MakeFolders({"from_step5_stage2/step6", "stage2_step7_anneal"});
  EXPECT_EQ(StepFolders(),
            (Paths{{"from_step5_stage2:6", "from_step5_stage2/step6"},
                   {"stage2/anneal:7", "stage2_step7_anneal"}}));
}

TEST_F(StepFoldersTest, KeepsSeedsAndAxesApart) {
  MakeFolders({"step5-seed-default", "step5-seed-small-aux-2", "step5",
               "240b_tokens", "epoch_3"});
  EXPECT_EQ(StepFolders(),
            (Paths{{":5", "step5"},
                   {"seed-default:5", "step5-seed-default"},
                   {"seed-small-aux-2:5", "step5-seed-small-aux-2"},
                   {"tokens:240000000000", "240b_tokens"},
                   {"epochs:3", "epoch_3"}}));
}

TEST_F(StepFoldersTest, SaysOfAnEmptyStageFolderThatNothingIsInIt) {
  MakeFolders({"stage1", "stage2/ingredient1"});
  EXPECT_EQ(LeftAlone(),
            (Paths{{"no-checkpoint", "stage1 stage2/ingredient1"}}));
}

TEST_F(StepFoldersTest, TakesFilesThatAreACheckpointEach) {
  folder_.Write("root/model_000100.pt", "x");
  folder_.Write("root/meta_000100.json", "{}");
  folder_.Write("root/optim_000100_rank0.pt", "x");
  folder_.Write("root/model_000200.pt", "x");
  EXPECT_EQ(StepFolders(),
            (Paths{{":100", "model_000100.pt"}, {":200", "model_000200.pt"}}));
  EXPECT_EQ(LeftAlone(), (Paths{{"file",
                                 "meta_000100.json "
                                 "optim_000100_rank0.pt"}}));
}

TEST_F(StepFoldersTest, ReadsNamesByTheRunsPatternFirst) {
  run_.set_step_pattern("(?P<seed>[a-z]+)_it(?P<step>\\d+[kM]?)");
  MakeFolders({"red_it500", "blue_it2k", "step5", "red_itx"});
  EXPECT_EQ(StepFolders(), (Paths{{":5", "step5"},
                                  {"seed-red:500", "red_it500"},
                                  {"seed-blue:2000", "blue_it2k"}}));
  run_.set_step_pattern("train_(?P<tokens>\\d+B)");
  MakeFolders({"train_02640B"});
  EXPECT_EQ(StepFolders()["tokens:2640000000000"], "train_02640B");
  // Another reading of a name that the rules know.
  run_.set_step_pattern("step(?P<step>\\d+)-phase(?P<stage>\\d)");
  MakeFolders({"step7-phase2"});
  EXPECT_EQ(StepFolders()["2:7"], "step7-phase2");
}

}  // namespace
}  // namespace sinkwatch::discovery

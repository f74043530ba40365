// Looks at whole runs: what is left alone, what a person should know, and where
// waiting ends.
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/discovery/listing.h"
#include "server/discovery/run_scan_testing.h"

namespace sinkwatch::discovery {
namespace {

class RunSurveyTest : public RunScanTest {
 protected:
  std::string Notes() { return absl::StrJoin(scan_->survey().notes, "\n"); }
  std::map<std::string, std::string> LeftAlone() {
    std::map<std::string, std::string> left;
    for (const v1::LeftAlone& entry : scan_->survey().left_alone) {
      left[entry.kind()] = absl::StrJoin(entry.examples(), " ");
    }
    return left;
  }
  using Left = std::map<std::string, std::string>;
};

TEST_F(RunSurveyTest, SaysThatTheRootIsOneLevelTooHigh) {
  folder_.WriteCheckpoint("root/hf/step-500");
  EXPECT_TRUE(Look().empty());
  EXPECT_EQ(LeftAlone(), (Left{{"below", "hf"}}));
  EXPECT_TRUE(absl::StrContains(
      Notes(), folder_.Path("root/hf") + " would work as the root"))
      << Notes();
}

TEST_F(RunSurveyTest, SaysThatThereAreSeveralRuns) {
  folder_.WriteCheckpoint("root/run-a/step10");
  folder_.WriteCheckpoint("root/run-b/step10");
  EXPECT_TRUE(Look().empty());
  EXPECT_EQ(LeftAlone(), (Left{{"below", "run-a run-b"}}));
  EXPECT_TRUE(absl::StrContains(Notes(), "runs_below")) << Notes();
}

TEST_F(RunSurveyTest, SaysThatTheRootIsACheckpointItself) {
  folder_.WriteCheckpoint("step10");
  run_.set_root(folder_.Path("step10"));
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(absl::StrContains(Notes(), "the root that would work is /"))
      << Notes();
  folder_.WriteCheckpoint("final");
  run_.set_root(folder_.Path("final"));
  scan_ = nullptr;
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(absl::StrContains(Notes(), "config.json, model.safetensors"));
  EXPECT_TRUE(absl::StrContains(Notes(), "named by its step")) << Notes();
}

TEST_F(RunSurveyTest, SaysThatTheRootIsAPartOfADownloadCache) {
  folder_.Write("models--org--name/refs/main", std::string(40, 'a'));
  const std::string snapshot =
      "models--org--name/snapshots/" + std::string(40, 'a');
  folder_.WriteCheckpoint(snapshot);
  for (const std::string& root :
       {snapshot, std::string("models--org--name/snapshots")}) {
    run_.set_root(folder_.Path(root));
    scan_ = nullptr;
    EXPECT_TRUE(Look().empty());
    EXPECT_TRUE(absl::EndsWith(
        Notes(),
        "would work is " + RealPath(folder_.Path("models--org--name")).value()))
        << Notes();
  }
}

// Files of other programs are left alone one by one.
TEST_F(RunSurveyTest, TakesNoRootOfForeignFilesForACheckpoint) {
  for (const char* file : {"streaming_params", "rwkv-100.pth", "step5.tar.gz",
                           "model-Q4_K_M.gguf"}) {
    folder_.Write(absl::StrCat("root/", file), "x");
  }
  EXPECT_TRUE(Look().empty());
  EXPECT_EQ(Notes(), "");
  EXPECT_EQ(LeftAlone().size(), 2u);  // foreign, no-step
}

// Nor one of files whose names tell no step, with a config for all of them.
TEST_F(RunSurveyTest, ReadsNamesOfFilesByThePatternWithTheirEndingOrWithout) {
  folder_.Write("root/config.json", "{}");
  folder_.Write("root/gpt_100.safetensors", "x");
  EXPECT_TRUE(Look().empty());
  EXPECT_EQ(Notes(), "");
  for (const char* pattern :
       {"gpt_(?P<step>\\d+)", "gpt_(?P<step>\\d+)\\.safetensors"}) {
    run_.set_step_pattern(pattern);
    scan_ = nullptr;
    EXPECT_EQ(LookAtOne().checkpoint.step(), 100) << pattern;
  }
}

TEST_F(RunSurveyTest, FindsAFormOfFoldersAloneByItsName) {
  const std::string checkpoints = "root/default/2026-11-01/checkpoints";
  folder_.Write(checkpoints + "/gpt--val_loss=2.31-step=999/weights/.metadata",
                "x");
  folder_.Write(checkpoints + "/gpt--val_loss=2.31-step=999/context/io.json",
                "{}");
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(absl::StrContains(Notes(), folder_.Path(checkpoints))) << Notes();
}

TEST_F(RunSurveyTest, SaysWhatTheNumbersCount) {
  folder_.WriteCheckpoint("root/240b_tokens");
  Look();
  EXPECT_TRUE(absl::StrContains(
      Notes(), "names such as 240b_tokens tell tokens and no step"))
      << Notes();
}

TEST_F(RunSurveyTest, HasNothingToSayOfAPlainRun) {
  folder_.WriteCheckpoint("root/step5");
  Look();
  EXPECT_EQ(LeftAlone(), Left{});
  EXPECT_EQ(Notes(), "");
}

TEST_F(RunSurveyTest, SaysWhichFolderOfAStepIsNotFollowed) {
  folder_.WriteCheckpoint("root/step5");
  folder_.WriteCheckpoint("root/ckpt_5");
  LookAtOne();
  EXPECT_EQ(LeftAlone(), (Left{{"second", "step5"}}));
}

TEST_F(RunSurveyTest, TakesANumberForAStepOnceWeightsLieInIt) {
  folder_.MakeFolder("root/0001000");
  EXPECT_TRUE(Look().empty());
  EXPECT_EQ(LeftAlone(), (Left{{"no-checkpoint", "0001000"}}));
  folder_.WriteCheckpoint("root/0001000");
  EXPECT_EQ(LookAtOne(1).checkpoint.step(), 1000);
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(LeftAlone(), Left{});
}

TEST_F(RunSurveyTest, SaysWhatAManifestDoesNotName) {
  folder_.WriteCheckpoint("root/step5");
  folder_.WriteCheckpoint("root/step6");
  folder_.Write("root/README", "x");
  folder_.Write("series.csv", "Step,Checkpoint Directory\n5,a/step5\n");
  run_.set_manifest(folder_.Path("series.csv"));
  LookAtOne();
  EXPECT_EQ(LeftAlone(), (Left{{"file", "README"}, {"not-listed", "step6"}}));
}

TEST_F(RunSurveyTest, FollowsALinkedStepAndMeasuresWhatItLeadsTo) {
  folder_.WriteCheckpoint("root/store/aa11");
  folder_.Link("store/aa11", "root/step5");
  LookAtOne();
  const Observation ready = LookAtOne(kQuiescence);
  EXPECT_EQ(ready.state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(ready.checkpoint.step(), 5);
  EXPECT_EQ(ready.checkpoint.path(), folder_.Path("root/store/aa11"));
}

TEST_F(RunSurveyTest, RefusesAPatternThatIsNone) {
  run_.set_step_pattern("(?P<step>");
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(absl::StrContains(status_.message(), "is no RE2")) << status_;
}

// --- where waiting ends ------------------------------------------------------

TEST_F(RunSurveyTest, MeasuresWithoutTheTrainersStateAfterTheGraceTime) {
  folder_.WriteCheckpoint("root/checkpoint-5");
  EXPECT_EQ(LookAtOne().reason, "trainer_state.json is not there yet");
  EXPECT_EQ(LookAtOne(kGrace - 1).state, v1::JOB_STATE_WAITING);
  const Observation late = LookAtOne(2);
  EXPECT_EQ(late.state, v1::JOB_STATE_QUEUED) << late.reason;
  // What comes later belongs to it and is no part of the weights.
  folder_.Write("root/checkpoint-5/trainer_state.json", "{}");
  EXPECT_EQ(LookAtOne(1).checkpoint.fingerprint(),
            late.checkpoint.fingerprint());
}

TEST_F(RunSurveyTest, WaitsForWeightsThatAreStillUnderWay) {
  folder_.WriteCheckpoint("root/step5");
  folder_.Write("root/step5/model.safetensors.part", "half");
  LookAtOne();
  now_ += absl::Seconds(kGrace);
  folder_.SetTime("root/step5/model.safetensors.part", now_);
  EXPECT_EQ(LookAtOne(5).state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(LookAtOne(kGrace).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunSurveyTest, IsNotHeldUpByWhatAnEvaluationLeftBehind) {
  folder_.WriteCheckpoint("root/step5");
  folder_.Write("root/step5/tmp_eval/results.json", "{}");
  folder_.Write("root/step5/results.json.tmp", "{");
  LookAtOne();
  EXPECT_EQ(LookAtOne(kGrace + 1).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunSurveyTest, EndsAForeignFormatAfterTheGraceTimeUnderOneFingerprint) {
  folder_.Write("root/checkpoint-5/adapter_config.json", "{}");
  folder_.Write("root/checkpoint-5/adapter_model.safetensors", "x");
  EXPECT_EQ(LookAtOne().state, v1::JOB_STATE_WAITING);
  const Observation dead = LookAtOne(kGrace + 1);
  EXPECT_EQ(dead.state, v1::JOB_STATE_DEAD);
  EXPECT_EQ(dead.outcome, v1::OUTCOME_UNSUPPORTED);
  EXPECT_EQ(dead.checkpoint.fingerprint(), "unsupported:peft-adapter");
  EXPECT_TRUE(absl::StrContains(dead.reason, "LoRA")) << dead.reason;
  EXPECT_EQ(LookAtOne(1).state, v1::JOB_STATE_DEAD);
  // Merged in its place, it is followed after all.
  folder_.WriteCheckpoint("root/checkpoint-5");
  EXPECT_EQ(LookAtOne(1).state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(LookAtOne(kGrace + 1).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunSurveyTest, KnowsAForeignFormatAtOnceAfterARestart) {
  folder_.Write("root/step5/lit_model.pth", "x");
  LookAtOne();
  const Observation dead = LookAtOne(kGrace + 1);
  ASSERT_EQ(dead.state, v1::JOB_STATE_DEAD);
  Restart(dead);
  now_ += absl::Hours(1);
  // Without weights that are known nothing tells how old it is but the look
  // before: no second job waits for it.
  EXPECT_EQ(LookAtOne().state, v1::JOB_STATE_DEAD);
}

TEST_F(RunSurveyTest, WaitsOnForWhatCanStillCome) {
  folder_.Write("root/step5/config.json", "{}");
  folder_.Write("root/step5/model-00001-of-00002.safetensors", "x");
  LookAtOne();
  const Observation late = LookAtOne(kGrace + 1);
  EXPECT_EQ(late.state, v1::JOB_STATE_WAITING);
  EXPECT_TRUE(absl::StrContains(
      late.reason, "what is there: config.json, model-00001-of-00002"))
      << late.reason;
  EXPECT_TRUE(absl::StrContains(late.reason, "unchanged since"));
}

// Of a form whose weights lie in folders of any name.
TEST_F(RunSurveyTest, EndsWaitingWhereTheWeightsLieFurtherDown) {
  folder_.Write("root/step5/config.json", "{}");
  folder_.WriteCheckpoint("root/step5/exported/final");
  folder_.Write("root/step6/config.json", "{}");
  folder_.Write("root/step6/optim/state.pt", "x");
  folder_.Write("root/step6/eval/step_6/results.json", "{}");
  Look();
  for (const Observation& seen : Look(kGrace + 1)) {
    if (seen.checkpoint.step() == 6) {  // its weights can still come
      EXPECT_EQ(seen.state, v1::JOB_STATE_WAITING) << seen.reason;
      continue;
    }
    EXPECT_EQ(seen.state, v1::JOB_STATE_DEAD);
    EXPECT_EQ(seen.checkpoint.fingerprint(), "unsupported:weights-below");
    EXPECT_TRUE(absl::StrContains(seen.reason, "exported/final"))
        << seen.reason;
  }
  // Moved up, it is followed after all.
  folder_.WriteCheckpoint("root/step5");
  Look(1);
  for (const Observation& seen : Look(kGrace + 1)) {
    EXPECT_EQ(seen.state == v1::JOB_STATE_QUEUED, seen.checkpoint.step() == 5)
        << seen.reason;
  }
}

TEST_F(RunSurveyTest, TakesASecondSetOfShardsForNoObstacle) {
  folder_.Write("root/step5/config.json", "{}");
  folder_.Write("root/step5/model.safetensors.index.json", "{}");
  for (const char* shard :
       {"1-of-00002", "2-of-00002", "1-of-00003", "2-of-00003"}) {
    folder_.Write(absl::StrCat("root/step5/model-0000", shard, ".safetensors"),
                  "x");
  }
  LookAtOne();
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

}  // namespace
}  // namespace sinkwatch::discovery

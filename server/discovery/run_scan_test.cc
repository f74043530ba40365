#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/sha256.h"
#include "proto/base/utf8.h"
#include "server/discovery/digest.h"
#include "server/discovery/run_scan_testing.h"

namespace sinkwatch::discovery {
namespace {

TEST_F(RunScanTest, SaysEverythingThatAJobNeeds) {
  run_.set_stage("pretraining");
  run_.set_dtype("bfloat16");
  run_.add_metrics("sink_attention");
  folder_.WriteCheckpoint("root/step1000-tokens4B");
  const Observation seen = LookAtOne();
  EXPECT_EQ(seen.checkpoint.run(), "toy");
  EXPECT_EQ(seen.checkpoint.stage(), "pretraining");
  EXPECT_EQ(seen.checkpoint.step(), 1000);
  EXPECT_EQ(seen.checkpoint.tokens(), 4000000000);
  EXPECT_EQ(seen.checkpoint.path(), folder_.Path("root/step1000-tokens4B"));
  EXPECT_EQ(seen.checkpoint.fingerprint().size(), 64u);
  EXPECT_EQ(seen.probe.digest(), base::Sha256Hex(R"({"name": "stories"})"));
  EXPECT_EQ(seen.dtype, "bfloat16");
  EXPECT_EQ(seen.metrics, std::vector<std::string>{"sink_attention"});
}

TEST_F(RunScanTest, PrefersTheStageInTheNameToTheStageOfTheRoot) {
  run_.set_stage("pretraining");
  folder_.WriteCheckpoint("root/stage2-ingredient1-step7");
  EXPECT_EQ(LookAtOne().checkpoint.stage(), "stage2-ingredient1");
}

TEST_F(RunScanTest, SeesNothingInFoldersOfOtherNames) {
  for (const char* name : {"root/step5-tmp", "root/tmp-step6", "root/logs"}) {
    folder_.WriteCheckpoint(name);
  }
  folder_.Write("root/step7", "a file");
  folder_.Link("nowhere", "root/step8");
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(status_.ok());
}

TEST_F(RunScanTest, QueuesAWholeCheckpointOnceItHasSettled) {
  folder_.WriteCheckpoint("root/step5");
  const Observation first = LookAtOne();
  EXPECT_EQ(first.state, v1::JOB_STATE_WAITING);
  EXPECT_TRUE(absl::StrContains(first.reason, "settling")) << first.reason;
  EXPECT_EQ(LookAtOne(kQuiescence - .1).state, v1::JOB_STATE_WAITING);
  const Observation last = LookAtOne(.2);
  EXPECT_EQ(last.state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(last.reason, "");
}

TEST_F(RunScanTest, NeverQueuesACheckpointThatIsWrittenFileByFile) {
  folder_.MakeFolder("root/step5");
  EXPECT_EQ(LookAtOne().reason, "config.json is not there yet");
  folder_.Write("root/step5/config.json", "{}");
  EXPECT_EQ(LookAtOne(10).reason, "model.safetensors is not there yet");
  folder_.Write("root/step5/model.safetensors", "");
  EXPECT_EQ(LookAtOne(10).reason, "model.safetensors is empty");
  folder_.Write("root/step5/model.safetensors", "wei");
  EXPECT_TRUE(absl::StrContains(LookAtOne(10).reason, "settling"));
  folder_.Write("root/step5/model.safetensors", "weights");
  EXPECT_TRUE(absl::StrContains(LookAtOne(10).reason, "settling"));
  EXPECT_EQ(LookAtOne(10).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, NoticesAChangeThatLeavesTheSizeAsItWas) {
  folder_.WriteCheckpoint("root/step5");
  LookAtOne();
  folder_.Write("root/step5/model.safetensors", "WEIGHTS");
  folder_.SetTime("root/step5/model.safetensors", now_ + absl::Seconds(1));
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, SeesACheckpointOnlyWhenItsTmpFolderWasRenamed) {
  folder_.WriteCheckpoint("root/step5-tmp");
  EXPECT_TRUE(Look().empty());
  folder_.Rename("root/step5-tmp", "root/step5");
  EXPECT_EQ(LookAtOne(1).state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, GivesARewrittenCheckpointAnotherFingerprintAndWaitsAgain) {
  folder_.WriteCheckpoint("root/step5");
  LookAtOne();
  const Observation before = LookAtOne(kQuiescence);
  folder_.Write("root/step5/model.safetensors", "other weights");
  const Observation after = LookAtOne(1);
  EXPECT_NE(after.checkpoint.fingerprint(), before.checkpoint.fingerprint());
  EXPECT_EQ(after.state, v1::JOB_STATE_WAITING);
}

TEST_F(RunScanTest, SaysOnceThatACheckpointVanished) {
  folder_.WriteCheckpoint("root/step5");
  folder_.WriteCheckpoint("root/step6");
  Look();
  folder_.Delete("root/step5");
  const auto seen = Look(1);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].checkpoint.step(), 5);
  EXPECT_EQ(seen[0].state, v1::JOB_STATE_VANISHED);
  EXPECT_EQ(seen[1].state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(Look(1).size(), 1u);
}

TEST_F(RunScanTest, FindsNothingGoneWhileTheRootIsAway) {
  folder_.WriteCheckpoint("root/step5");
  LookAtOne();
  folder_.Rename("root", "away");
  EXPECT_TRUE(Look(kQuiescence).empty());
  EXPECT_EQ(status_.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(status_.message(), run_.root())) << status_;
  folder_.Rename("away", "root");
  EXPECT_EQ(LookAtOne(1).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, TakesAnEmptyRootForAMountThatIsAway) {
  folder_.WriteCheckpoint("root/step5");
  LookAtOne();
  folder_.Rename("root", "away");
  folder_.MakeFolder("root");  // the mount point that is left
  EXPECT_TRUE(Look(1).empty());
  EXPECT_EQ(status_.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status_.message(), "mounted?")) << status_;
  folder_.Delete("root");
  folder_.Rename("away", "root");
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, TakesAnEmptyRootOfANewRunForWhatItIs) {
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(RunScanTest, SaysNothingOfAnyCheckpointWithoutTheProbe) {
  folder_.WriteCheckpoint("root/step5");
  LookAtOne();
  folder_.Delete("probe");
  EXPECT_TRUE(Look(1).empty());
  EXPECT_TRUE(absl::StrContains(status_.message(), "probe.json")) << status_;
}

TEST_F(RunScanTest, LetsACheckpointWaitWhoseFolderCannotBeRead) {
  // Whoever runs this test, root too, cannot open a path this long. The root
  // itself is just short enough.
  std::string root = run_.root();
  while (root.size() < 3880) root += "/" + std::string(100, 'a');
  std::filesystem::create_directories(root);
  run_.set_root(root);
  folder_.WriteCheckpoint(root.substr(folder_.path().size() + 1) + "/step5");
  const Observation before = LookAtOne();
  const std::string longer =
      "step" + std::string(190, '0') + "5";  // also step 5
  const int parent = open(root.c_str(), O_DIRECTORY);
  ASSERT_EQ(renameat(parent, "step5", parent, longer.c_str()), 0);
  const Observation after = LookAtOne(kQuiescence);
  EXPECT_EQ(after.state, v1::JOB_STATE_WAITING);
  EXPECT_TRUE(absl::StrContains(after.reason, "cannot be read"))
      << after.reason;
  EXPECT_EQ(after.checkpoint.fingerprint(), before.checkpoint.fingerprint());
  ASSERT_EQ(renameat(parent, longer.c_str(), parent, "step5"), 0);
  close(parent);
  EXPECT_EQ(LookAtOne(1).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, ShowsSinceWhenAnIncompleteCheckpointStandsStill) {
  folder_.Write("root/step5/config.json", "{}");
  const std::string before = LookAtOne().reason;
  EXPECT_FALSE(absl::StrContains(before, "unchanged since")) << before;
  const std::string after = LookAtOne(kGrace + 1).reason;
  EXPECT_TRUE(absl::StrContains(after, "unchanged since 20")) << after;
  EXPECT_EQ(LookAtOne(100).reason, after);
}

TEST_F(RunScanTest, QueuesAtOnceWhatHadSettledBeforeARestart) {
  folder_.WriteCheckpoint("root/step5");
  const Observation before = LookAtOne();
  Restart(before);
  EXPECT_EQ(LookAtOne(kQuiescence + 1).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, WaitsAfterARestartForWhatWasWrittenJustNow) {
  folder_.WriteCheckpoint("root/step5");
  folder_.SetTime("root/step5/config.json", now_);
  folder_.SetTime("root/step5/model.safetensors", now_);
  Restart(LookAtOne());
  EXPECT_EQ(LookAtOne(kQuiescence / 2).state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(LookAtOne(kQuiescence / 2).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, WaitsAfterARestartForWhatChangedMeanwhile) {
  folder_.WriteCheckpoint("root/step5");
  const Observation before = LookAtOne();
  folder_.Write("root/step5/model.safetensors", "other weights");
  Restart(before);
  EXPECT_EQ(LookAtOne(100).state, v1::JOB_STATE_WAITING);
}

TEST_F(RunScanTest, NoticesAfterARestartWhatWasDeletedMeanwhile) {
  folder_.WriteCheckpoint("root/step5");
  folder_.WriteCheckpoint("root/step6");
  const auto before = Look();
  folder_.Delete("root/step5");
  Restart(before[0]);
  const auto after = Look(1);
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0].state, v1::JOB_STATE_VANISHED);
}

TEST_F(RunScanTest, SettlesFilesWhoseTimesLieInTheFuture) {
  folder_.WriteCheckpoint("root/step5");
  folder_.SetTime("root/step5/config.json", now_ + absl::Hours(1));
  Restart(LookAtOne());
  LookAtOne();
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, FollowsTheFirstOfTwoNamesForOneStep) {
  folder_.WriteCheckpoint("root/step5");
  folder_.WriteCheckpoint("root/step-5");
  LookAtOne();
  const Observation seen = LookAtOne(kQuiescence);
  EXPECT_EQ(seen.checkpoint.path(), folder_.Path("root/step-5"));
  EXPECT_EQ(seen.state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunScanTest, SkipsWhatTheStepPolicyDoesNotWantInEachStage) {
  run_.mutable_steps()->set_latest(1);
  for (const char* name : {"root/stage1-step5", "root/stage1-step6",
                           "root/stage2-step1", "root/stage2-step2"}) {
    folder_.WriteCheckpoint(name);
  }
  Look();
  std::vector<int64_t> queued, skipped;
  for (const Observation& seen : Look(kQuiescence)) {
    (seen.state == v1::JOB_STATE_SKIPPED ? skipped : queued)
        .push_back(seen.checkpoint.step());
  }
  EXPECT_EQ(queued, (std::vector<int64_t>{6, 2}));
  EXPECT_EQ(skipped, (std::vector<int64_t>{5, 1}));
}

TEST_F(RunScanTest, WaitsForNobodyWhoWouldWriteIntoAFifo) {
  folder_.WriteCheckpoint("root/step5");
  folder_.Delete("probe/probe.json");
  ASSERT_EQ(mkfifo(folder_.Path("probe/probe.json").c_str(), 0600), 0);
  EXPECT_TRUE(Look().empty());
  EXPECT_TRUE(absl::StrContains(status_.message(), "probe.json is no file"))
      << status_;
}

TEST_F(RunScanTest, EscapesNamesThatAreNoText) {
  folder_.WriteCheckpoint("root/stage1\xff/step51");
  folder_.MakeFolder("root/step41");
  folder_.Write("root/step41/config.json", "{}");
  folder_.Link("/nowhere/\xfe", "root/step41/model.safetensors");
  const auto seen = Look();
  ASSERT_EQ(seen.size(), 2u) << status_;
  const Observation& link = seen[0];
  EXPECT_EQ(link.checkpoint.step(), 41);
  EXPECT_TRUE(absl::StrContains(link.reason, "/nowhere/\\xFE")) << link.reason;
  const Observation& stage = seen[1];
  EXPECT_EQ(stage.checkpoint.stage(), "stage1\\xFF");
  EXPECT_TRUE(base::IsUtf8(stage.checkpoint.path()));
  EXPECT_EQ(base::UnescapeBytes(stage.checkpoint.path()),
            folder_.Path("root/stage1\xff/step51"));
}

TEST_F(RunScanTest, TellsWhatIsUnsupportedByItsKindAndNotByItsReason) {
  folder_.Write("root/global_step5/mp_rank_00_model_states.pt", "x");
  const Observation first = LookAtOne();
  EXPECT_EQ(first.state, v1::JOB_STATE_DEAD);
  EXPECT_EQ(first.checkpoint.fingerprint(), "unsupported:gpt-neox");
  // A release with other words for it, and then the folder in another form.
  Observation reworded = first;
  reworded.reason = "in other words";
  Restart(reworded);
  EXPECT_EQ(LookAtOne().checkpoint.fingerprint(), "unsupported:gpt-neox");
}

// Of many settled folders a look lists some, in turn; what changes the folder's
// own time is seen at once.
TEST_F(RunScanTest, ListsManyFoldersInTurn) {
  constexpr int kFolders = 1200;
  for (int step = 0; step < kFolders; ++step) {
    folder_.WriteCheckpoint(absl::StrCat("root/step", step));
  }
  Look();
  const auto settled = Look(kQuiescence + .1);
  ASSERT_EQ(settled.size(), static_cast<size_t>(kFolders)) << status_;
  const auto fingerprint_of = [](const std::vector<Observation>& seen,
                                 int64_t step) {
    EXPECT_EQ(seen[step].checkpoint.step(), step);
    return seen[step].checkpoint.fingerprint();
  };
  folder_.Write("root/step7/model.safetensors.index.json", "new");
  EXPECT_NE(fingerprint_of(Look(1), 7), fingerprint_of(settled, 7));
  folder_.Write("root/step8/config.json", "rewritten in its place");
  int looks = 0;
  while (fingerprint_of(Look(1), 8) == fingerprint_of(settled, 8)) {
    ASSERT_LT(++looks, 3);  // 1,200 / 500
  }
  folder_.Delete("root/step9");
  const auto gone = Look(1);
  ASSERT_EQ(gone.size(), static_cast<size_t>(kFolders));
  EXPECT_EQ(gone[9].state, v1::JOB_STATE_VANISHED);
  EXPECT_EQ(Look(1).size(), static_cast<size_t>(kFolders - 1));
}

}  // namespace
}  // namespace sinkwatch::discovery

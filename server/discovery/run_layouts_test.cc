// Looks at whole runs in the layouts beyond a folder of step folders.
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/discovery/run_scan_testing.h"

namespace sinkwatch::discovery {
namespace {

class RunLayoutsTest : public RunScanTest {
 protected:
  using All = std::map<std::string, std::string>;

  void WriteDcp(const std::string& folder) {
    folder_.Write(folder + "/__0_0.distcp", "data");
    folder_.Write(folder + "/.metadata", "pickle");
  }
  void WriteOlmoCore(const std::string& folder) {
    folder_.Write(folder + "/train/rank0.pt", "state");
    WriteDcp(folder + "/model_and_optim");
    folder_.Write(folder + "/.metadata.json", "{}");
    folder_.Write(folder + "/config.json", "{}");
  }
  void WriteManifest(const std::string& text) {
    folder_.Write("series.csv", text);
    run_.set_manifest(folder_.Path("series.csv"));
  }
};

TEST_F(RunLayoutsTest, SeesAChangeInASubFolder) {
  WriteOlmoCore("root/step5");
  LookAtOne();
  folder_.Write("root/step5/model_and_optim/__1_0.distcp", "more");
  EXPECT_TRUE(absl::StrContains(LookAtOne(kQuiescence).reason, "settling"));
  const Observation before = LookAtOne(kQuiescence);
  EXPECT_EQ(before.state, v1::JOB_STATE_QUEUED);
  folder_.Write("root/step5/model_and_optim/__1_0.distcp", "MORE.");
  const Observation after = LookAtOne(1);
  EXPECT_EQ(after.state, v1::JOB_STATE_WAITING);
  EXPECT_NE(after.checkpoint.fingerprint(), before.checkpoint.fingerprint());
}

TEST_F(RunLayoutsTest, NamesAMissingConfigurationAfterTheGraceTime) {
  WriteDcp("root/step5/model_and_optim");
  EXPECT_TRUE(
      absl::StartsWith(LookAtOne().reason, "config.json is not there yet"));
  const std::string later = LookAtOne(kGrace + 1).reason;
  EXPECT_TRUE(absl::StartsWith(later, "config.json missing")) << later;
  EXPECT_TRUE(absl::StrContains(later, "unchanged since")) << later;
  folder_.Write("root/step5/config.json", "{}");
  LookAtOne(1);
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunLayoutsTest, PassesTheRunsConfigurationOnAndSeesItChange) {
  folder_.Write("olmo.json", "{}");
  run_.set_model_config(folder_.Path("olmo.json"));
  WriteDcp("root/step-5");
  LookAtOne();
  const Observation ready = LookAtOne(kQuiescence);
  EXPECT_EQ(ready.state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(ready.model_config, folder_.Path("olmo.json"));
  folder_.Write("olmo.json", "{\"other\": 1}");
  EXPECT_NE(LookAtOne(1).checkpoint.fingerprint(),
            ready.checkpoint.fingerprint());
  folder_.Delete("olmo.json");
  EXPECT_TRUE(Look(1).empty());
  EXPECT_TRUE(absl::StrContains(status_.message(), "olmo.json")) << status_;
}

TEST_F(RunLayoutsTest, FollowsTheShardedFolderOfAStepWithTwo) {
  WriteDcp("root/step5/model_and_optim");
  folder_.Write("root/step5/config.yaml", "model:");
  folder_.Write("root/step5-unsharded/config.yaml", "model:");
  folder_.Write("root/step5-unsharded/model.pt", "weights");
  EXPECT_EQ(LookAtOne().checkpoint.path(), folder_.Path("root/step5"));
  // Retention deletes it; the other one is the same step.
  folder_.Delete("root/step5");
  const Observation other = LookAtOne(1);
  EXPECT_EQ(other.checkpoint.path(), folder_.Path("root/step5-unsharded"));
  EXPECT_EQ(other.state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunLayoutsTest, KeepsToTheFolderThatItFollows) {
  folder_.Write("root/step5-unsharded/config.yaml", "model:");
  folder_.Write("root/step5-unsharded/model.pt", "weights");
  const Observation before = LookAtOne();
  WriteDcp("root/step5/model_and_optim");
  folder_.Write("root/step5/config.yaml", "model:");
  EXPECT_EQ(LookAtOne(1).checkpoint.path(), before.checkpoint.path());
  Restart(before);
  EXPECT_EQ(LookAtOne(1).checkpoint.path(), before.checkpoint.path());
}

TEST_F(RunLayoutsTest, PrefersAFolderThatWorkersRead) {
  folder_.Write("root/step5/config.yaml", "model:");
  folder_.Write("root/step5/rank0.pt", "ShardedTensor");
  EXPECT_EQ(LookAtOne().checkpoint.path(), folder_.Path("root/step5"));
  folder_.Write("root/step5-unsharded/model.pt", "weights");
  folder_.Write("root/step5-unsharded/config.yaml", "model:");
  EXPECT_EQ(LookAtOne(1).checkpoint.path(),
            folder_.Path("root/step5-unsharded"));
}

TEST_F(RunLayoutsTest, EndsWhatIsNotSupportedUnderOneFingerprint) {
  folder_.Write("root/global_step5/layer_00-model_00-model_states.pt", "x");
  folder_.Write("root/6/model_config.json", "{}");
  folder_.Write("root/7/notes.txt", "no checkpoint");
  const auto first = Look();
  ASSERT_EQ(first.size(), 2u);
  for (const Observation& seen : first) {
    EXPECT_EQ(seen.state, v1::JOB_STATE_DEAD);
    EXPECT_EQ(seen.outcome, v1::OUTCOME_UNSUPPORTED);
    EXPECT_TRUE(absl::StrContains(seen.reason, "not supported"));
  }
  folder_.Write("root/global_step5/layer_01-model_00-model_states.pt", "x");
  EXPECT_EQ(Look(1)[0].checkpoint.fingerprint(),
            first[0].checkpoint.fingerprint());
}

TEST_F(RunLayoutsTest, ReadsAStageFolderThatIsGoneAsItsCheckpointsGone) {
  folder_.WriteCheckpoint("root/stage1/step5");
  folder_.WriteCheckpoint("root/stage2/step5");
  EXPECT_EQ(LookAtAll().size(), 2u);
  folder_.Delete("root/stage1");
  const All all = LookAtAll(1);
  EXPECT_TRUE(absl::StartsWith(all.at("stage1:5"), "VANISHED"));
  EXPECT_TRUE(absl::StartsWith(all.at("stage2:5"), "WAITING"));
}

TEST_F(RunLayoutsTest, TakesLinksWithinTheRootAndNoOthers) {
  folder_.Write("root/shared/model.safetensors", "weights");
  folder_.Write("outside.safetensors", "weights");
  folder_.Write("root/step5/config.json", "{}");
  folder_.Link("../shared/model.safetensors", "root/step5/model.safetensors");
  folder_.Write("root/step6/config.json", "{}");
  folder_.Link("../../outside.safetensors", "root/step6/model.safetensors");
  folder_.Write("root/step7/config.json", "{}");
  folder_.Link("../nowhere", "root/step7/model.safetensors");
  LookAtAll();
  const All all = LookAtAll(kQuiescence);
  EXPECT_EQ(all.at(":5"), "QUEUED ");
  EXPECT_EQ(all.at(":6"),
            "WAITING model.safetensors is a link to ../../outside.safetensors, "
            "which leaves the run's root");
  EXPECT_EQ(all.at(":7"),
            "WAITING model.safetensors is a link to ../nowhere, which is not "
            "there");
}

TEST_F(RunLayoutsTest, FollowsARootThatIsALink) {
  folder_.WriteCheckpoint("root/step5");
  folder_.Link("root", "linked");
  run_.set_root(folder_.Path("linked"));
  LookAtOne();
  EXPECT_EQ(LookAtOne(kQuiescence).state, v1::JOB_STATE_QUEUED);
}

TEST_F(RunLayoutsTest, FollowsTheRevisionsOfADownloadCache) {
  const std::string commit(40, 'a');
  const std::string snapshot = "root/snapshots/" + commit;
  folder_.Write("root/refs/main", commit);
  folder_.Write("root/refs/stage1-step5-tokens2B", commit);
  folder_.MakeFolder("root/snapshots");
  EXPECT_TRUE(
      absl::StartsWith(LookAtAll().at("stage1:5"), "WAITING not there yet: "));
  folder_.Write("root/blobs/c0", "{}");
  folder_.Write("root/blobs/aa.incomplete", "wei");
  folder_.MakeFolder(snapshot);
  folder_.Link("../../blobs/c0", snapshot + "/config.json");
  EXPECT_EQ(LookAtAll(1).at("stage1:5"),
            "WAITING model.safetensors is not there yet");
  folder_.Link("../../blobs/aa", snapshot + "/model.safetensors");
  EXPECT_TRUE(absl::StrContains(LookAtAll(1).at("stage1:5"),
                                "is still being downloaded"));
  folder_.Rename("root/blobs/aa.incomplete", "root/blobs/aa");
  LookAtAll(1);
  const Observation ready = LookAtOne(kQuiescence);
  EXPECT_EQ(ready.state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(ready.checkpoint.tokens(), 2000000000);
  EXPECT_EQ(ready.checkpoint.path(), folder_.Path(snapshot));
  folder_.Write("root/blobs/aa", "other weights");
  EXPECT_NE(LookAtOne(1).checkpoint.fingerprint(),
            ready.checkpoint.fingerprint());
}

TEST_F(RunLayoutsTest, WaitsForTheRowsOfAManifestAndForNothingElse) {
  WriteManifest(
      "Stage,Step,Tokens Seen,Checkpoint Directory\n"
      "s1,5,123,https://host/olmo/stage1/step5/\n"
      "s2,5,456,https://host/olmo/stage2/step5/\n");
  folder_.WriteCheckpoint("root/stage1/step5");
  folder_.WriteCheckpoint("root/stage1/step6");
  LookAtAll();
  const auto seen = Look(kQuiescence);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].checkpoint.stage(), "s1");
  EXPECT_EQ(seen[0].checkpoint.tokens(), 123);
  EXPECT_EQ(seen[0].state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(seen[1].reason,
            "not there yet: " + folder_.Path("root/stage2/step5"));
  folder_.WriteCheckpoint("root/stage2/step5");
  LookAtAll(1);
  EXPECT_EQ(LookAtAll(kQuiescence).at("s2:5"), "QUEUED ");
}

TEST_F(RunLayoutsTest, TellsARowThatIsGoneFromOneThatNeverWasThere) {
  WriteManifest("Step,Checkpoint Directory\n5,a/step5\n6,a/step6\n");
  folder_.WriteCheckpoint("root/step5");
  folder_.MakeFolder("root/logs");
  const auto before = Look();
  folder_.Delete("root/step5");
  All all = LookAtAll(1);
  EXPECT_TRUE(absl::StartsWith(all.at(":5"), "VANISHED"));
  EXPECT_TRUE(absl::StartsWith(all.at(":6"), "WAITING not there yet"));
  EXPECT_EQ(LookAtAll(1).count(":5"), 0u);
  // After a restart too: the store has it as vanished.
  Observation vanished = before[0];
  vanished.state = v1::JOB_STATE_VANISHED;
  Restart(vanished);
  all = LookAtAll(1);
  EXPECT_EQ(all.count(":5"), 0u);
  EXPECT_EQ(all.count(":6"), 1u);
  // It comes back.
  folder_.WriteCheckpoint("root/step5");
  EXPECT_EQ(LookAtAll(1).count(":5"), 1u);
}

TEST_F(RunLayoutsTest, ReadsAManifestThatGrowsAndKeepsAllOnABadOne) {
  WriteManifest("Step,Checkpoint Directory\n5,a/step5\n");
  EXPECT_EQ(LookAtAll().size(), 1u);
  WriteManifest("Step,Checkpoint Directory\n5,a/step5\n6,a/step6\n");
  EXPECT_EQ(LookAtAll(1).size(), 2u);
  WriteManifest("Step,Checkpoint Directory\n5,a/step5\nsix,a/step6\n");
  EXPECT_TRUE(Look(1).empty());
  EXPECT_TRUE(
      absl::StrContains(status_.message(), "series.csv:3: \"six\" is no step"))
      << status_;
  WriteManifest("Step,Checkpoint Directory\n5,a/step5\n");
  EXPECT_EQ(LookAtAll(1).at(":6"), "VANISHED not listed any more");
}

TEST_F(RunLayoutsTest, EndsABadRowOfAManifestAndFollowsTheOthers) {
  const std::string good = "Step,Checkpoint Directory\n5,a/step5\n7,a/step7\n";
  WriteManifest(good + "6,a/step5\n");
  folder_.WriteCheckpoint("root/step5");
  folder_.WriteCheckpoint("root/step6");
  LookAtAll();
  const auto seen = Look(kQuiescence);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(seen[0].checkpoint.step(), 5);
  EXPECT_EQ(seen[0].checkpoint.path(), folder_.Path("root/step5"));
  EXPECT_EQ(seen[1].state, v1::JOB_STATE_DEAD);
  EXPECT_EQ(seen[1].outcome, v1::OUTCOME_UNSUPPORTED);
  EXPECT_EQ(seen[1].reason,
            folder_.Path("series.csv") +
                ":4: the row is of step 6, its directory step5 of step 5");
  EXPECT_EQ(seen[2].state, v1::JOB_STATE_WAITING);
  // The same at every look, also of a server that comes back.
  const std::string fingerprint = seen[1].checkpoint.fingerprint();
  EXPECT_EQ(Look(1)[1].checkpoint.fingerprint(), fingerprint);
  Restart(seen[1]);
  EXPECT_EQ(Look(1)[1].checkpoint.fingerprint(), fingerprint);
}

TEST_F(RunLayoutsTest, WaitsForARowThatIsBadNoMore) {
  const std::string head = "Step,Checkpoint Directory\n";
  WriteManifest(head + "6,a/step5\n");
  const Observation bad = LookAtOne();
  EXPECT_EQ(bad.state, v1::JOB_STATE_DEAD);
  // Corrected, or with another row of its step beside it.
  WriteManifest(head + "6,a/step6-unsharded\n");
  EXPECT_TRUE(
      absl::StartsWith(LookAtAll(1).at(":6"), "WAITING not there yet: "));
  WriteManifest(head + "6,a/step5\n6,a/b/step6-unsharded\n");
  EXPECT_TRUE(
      absl::StartsWith(LookAtAll(1).at(":6"), "WAITING not there yet: "));
  // Also if the server was away.
  Restart(bad);
  EXPECT_TRUE(
      absl::StartsWith(LookAtAll(1).at(":6"), "WAITING not there yet: "));
}

TEST_F(RunLayoutsTest, TakesTheFirstPlaceOfAStepThatIsThere) {
  WriteManifest("Step,Checkpoint Directory\n5,a/x/step5\n5,a/y/step5\n");
  folder_.WriteCheckpoint("root/y/step5");
  EXPECT_EQ(LookAtOne().checkpoint.path(), folder_.Path("root/y/step5"));
}

}  // namespace
}  // namespace sinkwatch::discovery

// Whether a look is needed at a run of many folders.
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/discovery/many_steps_testing.h"
#include "server/discovery/run_scan_testing.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kFolders = ManySteps::kSteps;
constexpr int kTurns = 2;  // 600 / 500

class StillLookTest : public RunScanTest {
 protected:
  // As found by a look some time after the last change.
  void Settle() {
    steps_.emplace(folder_, "root/stage1");
    SettleThese(kFolders);
  }
  void SettleThese(int folders) {
    MakeOld("root/stage1");
    MakeOld("root");
    Look();
    seen_ = Look(kQuiescence + 1);
    ASSERT_EQ(seen_.size(), static_cast<size_t>(folders)) << status_;
  }
  void MakeOld(const std::string& name) {
    folder_.SetTime(name, absl::Now() - absl::Seconds(10));
  }
  bool IsStill(double seconds = 0) {
    now_ += absl::Seconds(seconds);
    return scan_->IsStill(now_).value();
  }
  // Whether that is seen within so many looks.
  bool IsSeenWithin(int looks) {
    for (int look = 0; look < looks; ++look) {
      if (!IsStill()) return true;
    }
    return false;
  }
  using Steps = std::set<int64_t>;
  // The steps that a look tells of beside `but`.
  Steps LookBut(const std::vector<StepKey>& but) {
    Steps steps;
    const auto seen = scan_->Look(now_, {}, &but);
    for (const Observation& one : seen.value()) {
      steps.insert(one.checkpoint.step());
    }
    return steps;
  }
  const Observation* Find(const std::vector<Observation>& seen, int64_t step) {
    for (const Observation& one : seen) {
      if (one.checkpoint.step() == step) return &one;
    }
    return nullptr;
  }

  std::optional<ManySteps> steps_;
  std::vector<Observation> seen_;
};

TEST_F(StillLookTest, ManyFoldersAreStillAndLookedAtEachMinuteAllTheSame) {
  Settle();
  for (int look = 1; look < 32; ++look) EXPECT_TRUE(IsStill(2)) << look;
  EXPECT_FALSE(IsStill(2));
  Look();
  EXPECT_TRUE(IsStill(2));
}

TEST_F(StillLookTest, AFewFoldersAreLookedAtAlways) {
  for (int step = 0; step < 10; ++step) {
    folder_.WriteCheckpoint(absl::StrCat("root/stage1/step", step));
  }
  SettleThese(10);
  EXPECT_FALSE(IsStill());
}

TEST_F(StillLookTest, ANameThatComesOrGoesIsSeenAtOnce) {
  Settle();
  folder_.MakeFolder("root/stage1/step1000");
  EXPECT_FALSE(IsStill());
  MakeOld("root/stage1");
  Look();
  Look(kGrace + 1);
  folder_.Delete("root/stage1/step7");
  EXPECT_FALSE(IsStill());
  folder_.MakeFolder("root/stage2");
  MakeOld("root/stage1");
  EXPECT_FALSE(IsStill());
}

// Somebody may have written since within the same tick of the file system.
TEST_F(StillLookTest, ATimeOfJustNowTellsNothing) {
  Settle();
  folder_.SetTime("root", absl::Now());
  Look();
  EXPECT_FALSE(IsStill());
}

TEST_F(StillLookTest, AFileThatComesIntoAFolderIsSeenAtOnce) {
  Settle();
  folder_.Write("root/stage1/step7/model.safetensors.index.json", "new");
  EXPECT_FALSE(IsStill());
}

TEST_F(StillLookTest, AFileThatIsRewrittenInItsPlaceIsSeenInTurn) {
  Settle();
  folder_.Write("root/stage1/step7/config.json", "rewritten in its place");
  EXPECT_TRUE(IsSeenWithin(kTurns));
  const auto now = Look();
  EXPECT_NE(Find(now, 7)->checkpoint.fingerprint(),
            Find(seen_, 7)->checkpoint.fingerprint());
}

TEST_F(StillLookTest, WhatIsBeingWrittenIsListedAtEachLook) {
  Settle();
  folder_.Write("root/stage1/step1000/config.json", "{}");
  MakeOld("root/stage1");
  Look();
  EXPECT_TRUE(IsStill());
  folder_.Write("root/stage1/step1000/config.json", "{...}");
  EXPECT_FALSE(IsStill());
}

TEST_F(StillLookTest, WhatSettlesOrIsLateIsLookedAtWhenItIs) {
  Settle();
  folder_.WriteCheckpoint("root/stage1/step1000");
  folder_.Write("root/stage1/step2000/config.json", "{}");
  MakeOld("root/stage1");
  Look();
  EXPECT_TRUE(IsStill(kQuiescence / 2));
  EXPECT_FALSE(IsStill(kQuiescence / 2));
  EXPECT_EQ(Find(Look(), 1000)->state, v1::JOB_STATE_QUEUED);
  EXPECT_TRUE(IsStill(kGrace / 2));
  EXPECT_FALSE(IsStill(kGrace / 2));
  EXPECT_NE(Find(Look(), 2000)->reason.find("unchanged since"),
            std::string::npos);
  EXPECT_TRUE(IsStill(10 * kGrace));
}

TEST_F(StillLookTest, WhatTheConfigurationNamesIsReadEachTime) {
  Settle();
  folder_.Write("probe/probe.json", R"({"name": "others"})");
  EXPECT_FALSE(IsStill());
  Look();
  EXPECT_TRUE(IsStill());
  folder_.Delete("probe/probe.json");
  EXPECT_FALSE(IsStill());
}

// A file system that keeps no times of folders.
TEST_F(StillLookTest, TimesThatStayThoughNamesChangeAreNotGoneBy) {
  Settle();
  const absl::Time time = absl::Now() - absl::Seconds(10);
  folder_.SetTime("root/stage1", time);
  Look();
  ASSERT_TRUE(IsStill());
  folder_.WriteCheckpoint("root/stage1/step1000");
  folder_.SetTime("root/stage1", time);
  EXPECT_TRUE(IsSeenWithin(32));
  EXPECT_EQ(Look().size(), seen_.size() + 1);
  Look(kGrace + 1);
  EXPECT_FALSE(IsStill());
}

// What is new, what is gone, what is asked for and what the policy of steps
// turns.
TEST_F(StillLookTest, ALookLeavesOutWhatIsAsItWasTold) {
  run_.mutable_steps()->set_latest(2);
  Settle();
  EXPECT_TRUE(LookBut({}).empty());
  EXPECT_EQ(LookBut({{"stage1", 7}}), (Steps{7}));
  folder_.WriteCheckpoint("root/stage1/step1000");
  EXPECT_EQ(LookBut({}), (Steps{598, 1000})) << "598 is not wanted any more";
  EXPECT_EQ(LookBut({}), (Steps{1000})) << "it settles";
  now_ += absl::Seconds(kQuiescence + 1);
  EXPECT_EQ(LookBut({}), (Steps{1000}));
  EXPECT_TRUE(LookBut({}).empty());
  folder_.Delete("root/stage1/step1000");
  EXPECT_EQ(LookBut({}), (Steps{598, 1000}));
  folder_.Write("root/stage1/step7/model.safetensors.index.json", "new");
  EXPECT_EQ(LookBut({}), (Steps{7}));
  folder_.Write("probe/probe.json", R"({"name": "others"})");
  EXPECT_EQ(LookBut({}).size(), static_cast<size_t>(kFolders));
}

TEST_F(StillLookTest, AFolderThatIsFollowedAgainIsNews) {
  Settle();
  folder_.WriteCheckpoint("root/stage1/step-7");
  LookBut({});
  folder_.Delete("root/stage1/step7");
  EXPECT_EQ(LookBut({}), (Steps{7}));
  folder_.Delete("root/stage1/step-7");
  EXPECT_EQ(LookBut({}), (Steps{7}));
}

TEST_F(StillLookTest, ADownloadCacheIsGoneByTheTimesOfItsFolders) {
  const auto add = [&](int step) {
    const std::string commit = absl::StrFormat("%040x", step);
    folder_.Write(absl::StrCat("root/refs/step", step), commit);
    folder_.WriteCheckpoint("root/snapshots/" + commit);
  };
  const char* const kTimed[] = {"root/refs", "root/snapshots", "root/blobs",
                                "root"};
  const auto settle = [&] {
    for (const char* name : kTimed) MakeOld(name);
    Look();
    return Look(kQuiescence + 1).size();
  };
  for (int step = 0; step < 600; ++step) add(step);
  folder_.MakeFolder("root/blobs");
  ASSERT_EQ(settle(), 600u) << status_;
  EXPECT_TRUE(IsStill());
  add(1000);
  EXPECT_FALSE(IsStill());
  ASSERT_EQ(settle(), 601u) << status_;
  EXPECT_TRUE(IsStill());
  folder_.Write("root/blobs/0123.incomplete", "x");
  EXPECT_FALSE(IsStill());
}

TEST_F(StillLookTest, AManifestIsGoneByItsOwnTimeAndThoseOfItsFolders) {
  std::string rows = "Step,Checkpoint Directory\n";
  steps_.emplace(folder_, "root/a");
  for (int step = 0; step < kFolders; ++step) {
    absl::StrAppend(&rows, step, ",https://host/run/a/step", step, "/\n");
  }
  absl::StrAppend(&rows, "1000,https://host/run/b/step1000/\n");
  folder_.Write("rows.csv", rows);
  run_.set_manifest(folder_.Path("rows.csv"));
  MakeOld("root/a");
  MakeOld("root");
  Look();
  ASSERT_EQ(Look(kQuiescence + 1).size(), 601u) << status_;
  EXPECT_TRUE(IsStill());
  folder_.WriteCheckpoint("root/b/step1000");  // of the row that waits
  EXPECT_FALSE(IsStill());
  MakeOld("root/b");
  MakeOld("root");
  Look();
  Look(kQuiescence + 1);
  EXPECT_TRUE(IsStill());
  folder_.Write("rows.csv", rows + "2000,https://host/run/a/step2000/\n");
  EXPECT_FALSE(IsStill());
}

TEST_F(StillLookTest, SaysAgainWhatItSaid) {
  run_.mutable_steps()->set_latest(1);
  Settle();
  const auto again =
      scan_->Again({{"stage1", 7}, {"stage1", 599}, {"", 7}}, now_);
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].state, v1::JOB_STATE_SKIPPED);
  EXPECT_EQ(again[1].state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(again[1].checkpoint.SerializeAsString(),
            Find(seen_, 599)->checkpoint.SerializeAsString());
}

}  // namespace
}  // namespace sinkwatch::discovery

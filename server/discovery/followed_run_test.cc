#include "server/discovery/followed_run.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"
#include "server/store/store_testing.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kFolders = 600;
constexpr double kQuiescence = 2;

class FollowedRunTest : public testing::Test {
 protected:
  FollowedRunTest() {
    v1::RunConfig config = folder_.MakeRun("toy", "root");
    config.set_quiescence_seconds(kQuiescence);
    run_ = std::make_unique<FollowedRun>(config);
    for (int step = 0; step < kFolders; ++step) {
      folder_.WriteCheckpoint(absl::StrCat("root/step", step));
    }
    Look(0);
    Look(kQuiescence + 1);
  }
  // `seconds` after the last one, long after the root has changed.
  void Look(double seconds) {
    folder_.SetTime("root", absl::Now() - absl::Seconds(10 + ++looks_));
    now_ += absl::Seconds(seconds);
    ASSERT_TRUE(run_->Prepare(*store_).ok());
    const absl::Status looked = run_->Look(now_);
    ASSERT_TRUE(looked.ok()) << looked;
    const absl::Status told = run_->Tell(*store_);
    ASSERT_TRUE(told.ok()) << told;
  }
  int64_t CountIn(v1::JobState state) {
    store::CheckpointQuery query;
    query.run = "toy";
    query.states = {state};
    return store_->CountCheckpoints(query).value();
  }

  const WatchedFolder folder_;
  store::TestStore store_;
  std::unique_ptr<FollowedRun> run_;
  absl::Time now_ = absl::Now();
  int looks_ = 0;
};

TEST_F(FollowedRunTest, ACheckpointThatComesIsQueuedWhenItHasSettled) {
  EXPECT_EQ(CountIn(v1::JOB_STATE_QUEUED), kFolders);
  folder_.WriteCheckpoint("root/step1000");
  Look(1);
  EXPECT_EQ(CountIn(v1::JOB_STATE_WAITING), 1);
  Look(kQuiescence + 1);
  EXPECT_EQ(CountIn(v1::JOB_STATE_QUEUED), kFolders + 1);
}

// What a glance has seen is told, whether a look follows it or not.
TEST_F(FollowedRunTest, WhatSettlesWhenALookIsDueIsToldAllTheSame) {
  folder_.WriteCheckpoint("root/step1000");
  Look(1);
  Look(100);
  EXPECT_EQ(CountIn(v1::JOB_STATE_QUEUED), kFolders + 1);
  folder_.WriteCheckpoint("root/step1001");
  Look(1);
  folder_.Delete("root/step7");
  Look(100);
  EXPECT_EQ(CountIn(v1::JOB_STATE_QUEUED), kFolders + 1);
  EXPECT_EQ(CountIn(v1::JOB_STATE_VANISHED), 1);
}

}  // namespace
}  // namespace sinkwatch::discovery

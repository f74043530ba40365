#include "server/discovery/watcher.h"

#include <algorithm>
#include <atomic>
#include <future>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/discovery/watched_folder_testing.h"
#include "server/store/store_testing.h"

namespace sinkwatch::discovery {
namespace {

constexpr absl::Duration kQuiescence = absl::Seconds(2);

// A watcher over real folders and a real store, with a clock that the test
// moves.
class WatcherTest : public testing::Test {
 protected:
  WatcherTest() {
    run_ = folder_.MakeRun("toy", "root");
    run_.set_quiescence_seconds(absl::ToDoubleSeconds(kQuiescence));
    EXPECT_TRUE(store_->PutRun(run_).ok());
    StartAgain();
  }

  void StartAgain() {
    WatcherOptions options;
    options.clock = [this] { return now_; };
    options.poll = absl::Milliseconds(1);
    options.on_look = [this](const std::string&, const absl::Status& status) {
      last_look_ = status;
    };
    watcher_ = std::make_unique<Watcher>(store_.operator->(), options);
    watcher_->SetRuns({run_});
  }
  void LookAfter(absl::Duration wait) {
    now_ += wait;
    watcher_->LookOnce();
  }
  void LookUntilSettled() {
    LookAfter(absl::ZeroDuration());
    LookAfter(kQuiescence);
  }
  // Every job of the run.
  std::vector<store::JobRecord> Jobs() { return store::JobsOf(*store_); }
  store::JobRecord Job() {
    const auto jobs = Jobs();
    EXPECT_EQ(jobs.size(), 1u);
    return jobs.empty() ? store::JobRecord() : jobs[0];
  }

  const WatchedFolder folder_;
  store::TestStore store_;
  v1::RunConfig run_;
  absl::Time now_ = absl::Now();
  absl::Status last_look_;
  std::unique_ptr<Watcher> watcher_;
};

TEST_F(WatcherTest, WritesAFirstLookAtALongSeriesOnce) {
  for (int step = 0; step < 1100; ++step) {
    folder_.WriteCheckpoint(absl::StrCat("root/step", step));
  }
  folder_.MakeFolder("root/step2000");
  LookAfter(absl::ZeroDuration());
  EXPECT_EQ(Job().job.checkpoint().step(), 2000) << "what is not whole is told";
  LookAfter(kQuiescence);
  int64_t queued = 0;
  const auto counts = store_->CountJobs().value();
  for (const auto& count : counts) {
    if (count.state == v1::JOB_STATE_QUEUED) queued = count.count;
  }
  EXPECT_EQ(queued, 1100);
}

TEST_F(WatcherTest, BringsACheckpointFromHalfWrittenToQueued) {
  folder_.Write("root/step5/config.json", "{}");
  LookAfter(absl::ZeroDuration());
  EXPECT_EQ(Job().state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(Job().reason, "model.safetensors is not there yet");
  folder_.Write("root/step5/model.safetensors", "weights");
  LookUntilSettled();
  int queued = 0;
  for (const auto& job : Jobs()) queued += job.state == v1::JOB_STATE_QUEUED;
  EXPECT_EQ(queued, 1);
}

TEST_F(WatcherTest, EndsACheckpointThatWasDeletedWhileQueued) {
  folder_.WriteCheckpoint("root/step5");
  folder_.MakeFolder("root/logs");
  LookUntilSettled();
  ASSERT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  folder_.Delete("root/step5");
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_VANISHED);
  EXPECT_EQ(Job().outcome, v1::OUTCOME_VANISHED);
}

TEST_F(WatcherTest, EndsACheckpointThatWasDeletedWhileTheServerWasDown) {
  folder_.WriteCheckpoint("root/step5");
  folder_.MakeFolder("root/logs");
  LookUntilSettled();
  folder_.Delete("root/step5");
  StartAgain();
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_VANISHED);
}

TEST_F(WatcherTest, KeepsEverythingWhileTheRootIsAwayAndSaysSo) {
  folder_.WriteCheckpoint("root/step5");
  LookUntilSettled();
  folder_.Rename("root", "away");
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  EXPECT_FALSE(last_look_.ok());
  EXPECT_TRUE(absl::StrContains(watcher_->ErrorOf("toy"), run_.root()));
  folder_.Rename("away", "root");
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  EXPECT_TRUE(last_look_.ok());
  EXPECT_EQ(watcher_->ErrorOf("toy"), "");
}

// A mount point that has lost its mount, and is not empty.
TEST_F(WatcherTest, DeletesNothingWhileTheMountOfTheRootIsAway) {
  for (int step = 1; step <= 9; ++step) {
    folder_.WriteCheckpoint(absl::StrCat("root/step", step));
  }
  LookUntilSettled();
  folder_.Rename("root", "away");
  folder_.MakeFolder("root/lost+found");
  folder_.MakeFolder("root/.snapshot");
  const auto expect_all_queued = [this] {
    ASSERT_EQ(Jobs().size(), 9u);
    for (const auto& job : Jobs()) {
      EXPECT_EQ(job.state, v1::JOB_STATE_QUEUED);
    }
  };
  LookAfter(absl::Seconds(1));
  expect_all_queued();
  EXPECT_TRUE(absl::StrContains(watcher_->ErrorOf("toy"), "mounted?"))
      << watcher_->ErrorOf("toy");
  StartAgain();
  LookAfter(absl::Hours(1));
  expect_all_queued();
  EXPECT_NE(watcher_->ErrorOf("toy"), "");
  // What else is there is followed.
  folder_.WriteCheckpoint("root/step10");
  LookUntilSettled();
  EXPECT_EQ(Jobs().size(), 10u);
  EXPECT_NE(watcher_->ErrorOf("toy"), "");
  folder_.Delete("root");
  folder_.Rename("away", "root");
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(watcher_->ErrorOf("toy"), "");
  // A trainer's retention, all but the last.
  for (int step = 1; step < 9; ++step) {
    folder_.Delete(absl::StrCat("root/step", step));
  }
  LookAfter(absl::Seconds(1));
  int vanished = 0;
  for (const auto& job : Jobs()) {
    vanished += job.state == v1::JOB_STATE_VANISHED;
  }
  EXPECT_EQ(vanished, 9);  // step 10 as well
}

TEST_F(WatcherTest, MakesANewJobOfARewrittenCheckpoint) {
  folder_.WriteCheckpoint("root/step5");
  LookUntilSettled();
  folder_.Write("root/step5/model.safetensors", "other weights");
  LookUntilSettled();
  std::vector<v1::JobState> states;
  for (const auto& job : Jobs()) states.push_back(job.state);
  std::sort(states.begin(), states.end());
  EXPECT_EQ(states, (std::vector<v1::JobState>{v1::JOB_STATE_QUEUED,
                                               v1::JOB_STATE_SUPERSEDED}));
}

TEST_F(WatcherTest, GoesOnWithOneRunWhenAnotherCannotBeLookedAt) {
  v1::RunConfig broken = run_;
  broken.set_name("broken");
  broken.set_root(folder_.Path("nowhere"));
  watcher_->SetRuns({broken, run_});
  folder_.WriteCheckpoint("root/step5");
  LookUntilSettled();
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  EXPECT_NE(watcher_->ErrorOf("broken"), "");
  EXPECT_EQ(watcher_->ErrorOf("toy"), "");
}

TEST_F(WatcherTest, StopsLookingAtARunThatIsNotFollowedAnyMore) {
  watcher_->SetRuns({});
  folder_.WriteCheckpoint("root/step5");
  LookUntilSettled();
  EXPECT_TRUE(Jobs().empty());
}

TEST_F(WatcherTest, FollowsAChangedPolicy) {
  folder_.WriteCheckpoint("root/step5");
  LookUntilSettled();
  run_.mutable_steps()->mutable_listed()->add_steps(7);
  watcher_->SetRuns({run_});
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_SKIPPED);
  run_.mutable_steps()->set_all(true);
  watcher_->SetRuns({run_});
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
}

TEST_F(WatcherTest, LooksByItselfUntilItIsStopped) {
  std::promise<void> looked_twice;
  std::atomic<int> looks{0};
  WatcherOptions options;
  options.poll = absl::Milliseconds(1);
  options.on_look = [&](const std::string&, const absl::Status&) {
    if (++looks == 2) looked_twice.set_value();
  };
  Watcher watcher(store_.operator->(), options);
  watcher.SetRuns({run_});
  watcher.Start();
  looked_twice.get_future().wait();
  watcher.Stop(absl::Seconds(1));
  const int before = looks;
  watcher.Stop(absl::Seconds(1));
  EXPECT_EQ(looks, before);
}

// The store is told what has changed; a job whose own state makes news of what
// was told before hears it again.
TEST_F(WatcherTest, TellsAgainWhatTheStateOfAJobMakesNews) {
  folder_.WriteCheckpoint("root/step5");
  LookUntilSettled();
  ASSERT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  const auto lease =
      store_->Lease(Job().job.id(), "w", store::LeaseLimits(), 5).value();
  ASSERT_TRUE(
      store_
          ->Fail(lease.job.id(), lease.token, v1::OUTCOME_INCOMPLETE, "short",
                 {v1::JOB_STATE_WAITING, store_.now() + absl::Seconds(60)})
          .ok());
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_WAITING);
  store_.Advance(absl::Seconds(61));
  LookAfter(absl::Seconds(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
}

}  // namespace
}  // namespace sinkwatch::discovery

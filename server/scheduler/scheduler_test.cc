#include "server/scheduler/scheduler.h"

#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "server/store/store_testing.h"

namespace sinkwatch::scheduler {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() {
    options_.seed = 1;
    options_.retry.max_attempts = 2;
    options_.on_expired = [this](const store::JobRecord&) { ++expired_; };
  }

  store::TestStore store_;
  SchedulerOptions options_;
  int expired_ = 0;
};

TEST_F(SchedulerTest, LeasesEachJobOnceAndThenNothing) {
  Scheduler scheduler(&*store_, options_);
  for (int step : {1, 2, 3}) {
    ASSERT_TRUE(store_->Observe({store::Seen(step)}).ok());
  }
  std::set<int64_t> steps;
  while (const auto job = scheduler.Acquire("w").value()) {
    steps.insert(job->job.checkpoint().step());
  }
  EXPECT_EQ(steps, (std::set<int64_t>{1, 2, 3}));
}

TEST_F(SchedulerTest, RetriesAFailureLaterAndGivesUpAfterTheLastAttempt) {
  Scheduler scheduler(&*store_, options_);
  ASSERT_TRUE(store_->Observe({store::Seen(1)}).ok());
  auto job = scheduler.Acquire("w").value();
  EXPECT_EQ(
      *scheduler.Fail(job->job.id(), job->token, v1::OUTCOME_TRANSIENT, "io"),
      v1::JOB_STATE_RETRYING);
  store_.Advance(options_.retry.max_backoff);
  job = scheduler.Acquire("w").value();
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(
      *scheduler.Fail(job->job.id(), job->token, v1::OUTCOME_TRANSIENT, "io"),
      v1::JOB_STATE_DEAD);
}

TEST_F(SchedulerTest, SaysWhenAnIncompleteCheckpointWaitsForItsFiles) {
  Scheduler scheduler(&*store_, options_);
  for (int attempt = 1; attempt <= 2; ++attempt) {
    ASSERT_TRUE(store_->Observe({store::Seen(1)}).ok());
    const auto job = scheduler.Acquire("w").value();
    ASSERT_TRUE(job.has_value());
    EXPECT_EQ(*scheduler.Fail(job->job.id(), job->token, v1::OUTCOME_INCOMPLETE,
                              "short"),
              v1::JOB_STATE_WAITING);
    EXPECT_EQ(store_->GetJob(job->job.id())->reason,
              attempt == 1 ? "short"
                           : "short; after 2 attempts it waits for its files "
                             "to change");
    store_.Advance(options_.retry.max_backoff);
  }
  ASSERT_TRUE(store_->Observe({store::Seen(1)}).ok());
  EXPECT_FALSE(scheduler.Acquire("w")->has_value());
}

// Queues `steps` checkpoints of a run, from step 1 on.
void Queue(store::TestStore& store, const std::string& run, int64_t steps) {
  std::vector<store::Observation> seen;
  for (int64_t step = 1; step <= steps; ++step) {
    seen.push_back(store::Seen(step));
    seen.back().checkpoint.set_run(run);
  }
  ASSERT_TRUE(store->Observe(seen).ok());
}

TEST_F(SchedulerTest, ABacklogStarvesNoOtherRunAndBeginsWithItsNewest) {
  Queue(store_, "alpha", 6000);
  Queue(store_, "zulu", 10);
  Scheduler scheduler(&*store_, options_);
  std::map<std::string, std::vector<int64_t>> steps;
  for (int i = 0; i < 20; ++i) {
    const auto job = scheduler.Acquire("w").value();
    ASSERT_TRUE(job.has_value());
    const v1::Checkpoint& checkpoint = job->job.checkpoint();
    steps[checkpoint.run()].push_back(checkpoint.step());
  }
  EXPECT_EQ(steps["alpha"].size(), 10u);
  EXPECT_EQ(steps["zulu"].size(), 10u);
  EXPECT_EQ(steps["alpha"].front(), 6000);
  EXPECT_EQ(steps["alpha"][2], 5999);
  // ln(1 + step) of 1 and 5999 has its middle near 109.
  EXPECT_NEAR(static_cast<double>(steps["alpha"][1]), 109, 2);
}

TEST_F(SchedulerTest, GivesEachOfManyRunsItsTurn) {
  constexpr int kRuns = 300;
  for (int i = 0; i < kRuns; ++i) {
    Queue(store_, absl::StrFormat("run%03d", i), 20);
  }
  Scheduler scheduler(&*store_, options_);
  std::map<std::string, std::vector<int64_t>> steps;
  for (int i = 0; i < kRuns; ++i) {
    const auto job = scheduler.Acquire("w").value();
    ASSERT_TRUE(job.has_value());
    steps[job->job.checkpoint().run()].push_back(job->job.checkpoint().step());
  }
  EXPECT_EQ(steps.size(), static_cast<size_t>(kRuns));
  for (const auto& [run, taken] : steps) {
    EXPECT_EQ(taken, std::vector<int64_t>{20}) << run;
  }
}

TEST_F(SchedulerTest, TakesRetriesAndLostLeasesOverWhileOthersWait) {
  Queue(store_, "toy", 3);
  Scheduler scheduler(&*store_, options_);
  const auto failed = scheduler.Acquire("a").value();
  ASSERT_EQ(failed->job.checkpoint().step(), 3);
  ASSERT_EQ(*scheduler.Fail(failed->job.id(), failed->token,
                            v1::OUTCOME_TRANSIENT, "io"),
            v1::JOB_STATE_RETRYING);
  ASSERT_TRUE(scheduler.Acquire("a")->has_value());  // and is lost
  store_.Advance(absl::Minutes(10));
  std::map<int64_t, int> attempts;
  for (int i = 0; i < 3; ++i) {
    const auto job = scheduler.Acquire("b").value();
    ASSERT_TRUE(job.has_value());
    attempts[job->job.checkpoint().step()] = job->job.attempt();
  }
  EXPECT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[3], 2);
  EXPECT_EQ(attempts[1] + attempts[2], 3);  // one of them was the lost one
  EXPECT_EQ(expired_, 1);
  EXPECT_FALSE(scheduler.Acquire("b")->has_value());
}

TEST_F(SchedulerTest, TellsOfALeaseThatRanOut) {
  Scheduler scheduler(&*store_, options_);
  ASSERT_TRUE(store_->Observe({store::Seen(1)}).ok());
  ASSERT_TRUE(scheduler.Acquire("a")->has_value());
  store_.Advance(absl::Seconds(61));
  EXPECT_EQ((*scheduler.Acquire("b"))->job.attempt(), 2);
  EXPECT_EQ(expired_, 1);
}

TEST_F(SchedulerTest, RefusesTheFailureOfAZombie) {
  Scheduler scheduler(&*store_, options_);
  ASSERT_TRUE(store_->Observe({store::Seen(1)}).ok());
  const auto zombie = scheduler.Acquire("a").value();
  store_.Advance(absl::Seconds(61));
  ASSERT_TRUE(scheduler.Acquire("b")->has_value());
  EXPECT_EQ(
      scheduler.Fail(zombie->job.id(), zombie->token, v1::OUTCOME_CORRUPT, "")
          .status()
          .code(),
      absl::StatusCode::kAborted);
}

TEST_F(SchedulerTest, NoCheckpointDiesOfAFaultThatIsNotItsOwn) {
  Scheduler scheduler(&*store_, options_);
  ASSERT_TRUE(store_->Observe({store::Seen(1)}).ok());
  for (int i = 0; i < 10; ++i) {
    const auto job = scheduler.Acquire("w").value();
    ASSERT_TRUE(job.has_value());
    EXPECT_EQ(job->job.attempt(), 1);
    EXPECT_EQ(*scheduler.Fail(job->job.id(), job->token, v1::OUTCOME_RELEASED,
                              "probe.json: the digest is another"),
              v1::JOB_STATE_RETRYING);
    EXPECT_FALSE(scheduler.Acquire("w")->has_value());
    store_.Advance(absl::Seconds(16));
  }
}

}  // namespace
}  // namespace sinkwatch::scheduler

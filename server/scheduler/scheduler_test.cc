#include "server/scheduler/scheduler.h"

#include "gtest/gtest.h"
#include "server/store/store_testing.h"

namespace sinkwatch::scheduler {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  SchedulerTest() {
    options_.seed = 1;
    options_.clock = [this] { return store_.now(); };
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

}  // namespace
}  // namespace sinkwatch::scheduler

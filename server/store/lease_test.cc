// Leases and the states of jobs.
#include <limits>

#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

constexpr int kAttempts = 3;
const LeaseLimits kLimits;  // 60 s, 10 min

class LeaseTest : public testing::Test {
 protected:
  int64_t Queue(int64_t step, const std::string& fingerprint = "first") {
    EXPECT_TRUE(store_->Observe({Seen(step, fingerprint)}).ok());
    return JobOfStep(*store_, step);
  }
  JobRecord Lease(int64_t id, const std::string& worker = "a") {
    return store_->Lease(id, worker, kLimits, kAttempts).value();
  }
  absl::StatusOr<CommitResult> Commit(const JobRecord& job, float base = 0) {
    return store_->Commit(
        {{job.job.id(), job.token, MeasurementOf(job.job, base)}})[0];
  }
  v1::JobState StateOf(int64_t id) { return store_->GetJob(id)->state; }

  TestStore store_;
};

TEST_F(LeaseTest, CountsTheAttemptWhenLeasing) {
  const JobRecord job = Lease(Queue(1));
  EXPECT_EQ(job.state, v1::JOB_STATE_LEASED);
  EXPECT_EQ(job.job.attempt(), 1);
  EXPECT_EQ(job.token, 1);
  EXPECT_EQ(job.lease_until, store_.now() + kLimits.ttl);
}

TEST_F(LeaseTest, RefusesASecondLeaseWhileTheFirstHolds) {
  const int64_t id = Queue(1);
  Lease(id);
  EXPECT_EQ(store_->Lease(id, "b", kLimits, kAttempts).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_TRUE(store_->LeasableRuns()->empty());
}

TEST_F(LeaseTest, FencesOffALateCommitAfterATakeover) {
  const int64_t id = Queue(1);
  const JobRecord zombie = Lease(id, "a");
  store_.Advance(kLimits.ttl + absl::Seconds(1));
  const JobRecord second = Lease(id, "b");
  EXPECT_EQ(second.token, zombie.token + 1);
  EXPECT_EQ(Commit(zombie).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(*Commit(second, 7), CommitResult::kCommitted);
}

TEST_F(LeaseTest, AnswersARepeatedCommitWithAlreadyCommittedAndKeepsTheFirst) {
  const JobRecord job = Lease(Queue(1));
  ASSERT_EQ(*Commit(job, 1), CommitResult::kCommitted);
  EXPECT_EQ(*Commit(job, 2), CommitResult::kAlreadyCommitted);
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(1);
  EXPECT_EQ(store_->GetMeasurement(request)->vectors(0).values(0), 1);
  EXPECT_EQ(store_->revision(), 1);
}

TEST_F(LeaseTest, CommitsALateResultIfNobodyTookTheJobOver) {
  const JobRecord job = Lease(Queue(1));
  store_.Advance(kLimits.ttl * 5);
  EXPECT_EQ(*Commit(job), CommitResult::kCommitted);
}

TEST_F(LeaseTest, RefusesAnUnknownTokenEverywhere) {
  const int64_t id = Queue(1);
  Lease(id);
  const auto kAborted = absl::StatusCode::kAborted;
  EXPECT_EQ(store_->CheckLease(id, 9).status().code(), kAborted);
  EXPECT_EQ(store_->Renew(id, 9, 0, 1, kLimits).status().code(), kAborted);
  EXPECT_EQ(store_->Release(id, 9).code(), kAborted);
  EXPECT_EQ(store_->Fail(id, 9, v1::OUTCOME_CORRUPT, "", {}).code(), kAborted);
  EXPECT_EQ(store_->Commit({{id, 9, {}}})[0].status().code(), kAborted);
  EXPECT_EQ(store_->CheckLease(99, 1).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(LeaseTest, StopsRenewingAWorkerThatStandsStill) {
  const JobRecord job = Lease(Queue(1));
  const int64_t id = job.job.id();
  for (int i = 0; i < 9; ++i) {
    store_.Advance(absl::Minutes(1));
    ASSERT_TRUE(store_->Renew(id, job.token, 0.1, 0, kLimits).ok());
  }
  store_.Advance(absl::Minutes(1) + absl::Seconds(1));
  EXPECT_EQ(store_->Renew(id, job.token, 0.1, 0, kLimits).status().code(),
            absl::StatusCode::kAborted);
}

TEST_F(LeaseTest, KeepsRenewingAWorkerThatGetsOn) {
  const JobRecord job = Lease(Queue(1));
  for (int i = 1; i < 30; ++i) {
    store_.Advance(absl::Minutes(9));
    ASSERT_TRUE(store_->Renew(job.job.id(), job.token, 0.1, i, kLimits).ok());
  }
}

TEST_F(LeaseTest, GivesTheAttemptBackOnRelease) {
  const int64_t id = Queue(1);
  for (int i = 0; i < 2 * kAttempts; ++i) {
    ASSERT_TRUE(store_->Release(id, Lease(id).token).ok());
  }
  const JobRecord job = *store_->GetJob(id);
  EXPECT_EQ(job.state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(job.job.attempt(), 0);
  EXPECT_EQ(job.token, 2 * kAttempts);
}

TEST_F(LeaseTest, EndsAJobWhoseWorkersKeepDying) {
  const int64_t id = Queue(1);
  for (int i = 0; i < kAttempts; ++i) {
    Lease(id);
    store_.Advance(kLimits.ttl + absl::Seconds(1));
  }
  EXPECT_EQ(store_->Lease(id, "a", kLimits, kAttempts).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StateOf(id), v1::JOB_STATE_DEAD);
}

TEST_F(LeaseTest, HoldsARetryBackUntilItsTime) {
  const JobRecord job = Lease(Queue(1));
  ASSERT_TRUE(
      store_
          ->Fail(job.job.id(), job.token, v1::OUTCOME_TRANSIENT, "io",
                 {v1::JOB_STATE_RETRYING, store_.now() + absl::Seconds(5)})
          .ok());
  EXPECT_TRUE(store_->LeasableRuns()->empty());
  store_.Advance(absl::Seconds(5));
  EXPECT_EQ(store_->LeasableRuns()->size(), 1u);
}

TEST_F(LeaseTest, RequeuesDeadJobsWithFreshAttempts) {
  const JobRecord job = Lease(Queue(1));
  ASSERT_TRUE(store_
                  ->Fail(job.job.id(), job.token, v1::OUTCOME_CORRUPT, "bad",
                         {v1::JOB_STATE_DEAD})
                  .ok());
  EXPECT_EQ(*store_->Requeue("toy", {2}, false), 0);
  EXPECT_EQ(*store_->Requeue("toy", {1}, false), 1);
  EXPECT_EQ(store_->GetJob(job.job.id())->job.attempt(), 0);
  EXPECT_EQ(Lease(job.job.id()).token, job.token + 1);
}

TEST_F(LeaseTest, LeavesADeadJobDeadWhoseContentWasRewritten) {
  const JobRecord job = Lease(Queue(1));
  ASSERT_TRUE(store_
                  ->Fail(job.job.id(), job.token, v1::OUTCOME_CORRUPT, "bad",
                         {v1::JOB_STATE_DEAD})
                  .ok());
  Queue(1, "second");
  EXPECT_EQ(*store_->Requeue("toy", {}, false), 0);
  EXPECT_EQ(StateOf(job.job.id()), v1::JOB_STATE_DEAD);
}

TEST_F(LeaseTest, SupersedesAnUnfinishedJobAndFencesItsWorkerOff) {
  const JobRecord old = Lease(Queue(1, "first"));
  const int64_t id = Queue(1, "second");
  EXPECT_EQ(StateOf(old.job.id()), v1::JOB_STATE_SUPERSEDED);
  EXPECT_EQ(Commit(old).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(*Commit(Lease(id)), CommitResult::kCommitted);
}

TEST_F(LeaseTest, KeepsADoneJobBesideTheRewrittenOne) {
  const JobRecord old = Lease(Queue(1, "first"));
  ASSERT_TRUE(Commit(old).ok());
  const int64_t id = Queue(1, "second");
  EXPECT_EQ(StateOf(old.job.id()), v1::JOB_STATE_DONE);
  EXPECT_EQ(StateOf(id), v1::JOB_STATE_QUEUED);
}

TEST_F(LeaseTest, FollowsAWaitingCheckpointUntilItIsThere) {
  const auto kWaiting = v1::JOB_STATE_WAITING;
  ASSERT_TRUE(store_->Observe({Seen(1, "first", kWaiting)}).ok());
  const int64_t id = JobOfStep(*store_, 1, kWaiting);
  EXPECT_TRUE(store_->LeasableRuns()->empty());
  EXPECT_EQ(Queue(1), id);
  ASSERT_TRUE(store_->Observe({Seen(1, "first", v1::JOB_STATE_VANISHED)}).ok());
  EXPECT_EQ(StateOf(id), v1::JOB_STATE_VANISHED);
}

TEST_F(LeaseTest, LeavesALeasedJobToItsWorkerWhenTheCheckpointVanishes) {
  const JobRecord job = Lease(Queue(1));
  ASSERT_TRUE(store_->Observe({Seen(1, "first", v1::JOB_STATE_VANISHED)}).ok());
  EXPECT_EQ(*Commit(job), CommitResult::kCommitted);
}

TEST_F(LeaseTest, SkipsTheOpenJobsOfARemovedRun) {
  v1::RunConfig run;
  run.set_name("toy");
  ASSERT_TRUE(store_->PutRun(run).ok());
  const JobRecord job = Lease(Queue(1));
  ASSERT_TRUE(store_->RemoveRun("toy").ok());
  EXPECT_EQ(StateOf(job.job.id()), v1::JOB_STATE_SKIPPED);
  EXPECT_EQ(Commit(job).status().code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace sinkwatch::store

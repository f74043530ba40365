// What the store makes of what discovery saw.
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

constexpr int kAttempts = 3;
const LeaseLimits kLimits;

class ObserveTest : public testing::Test {
 protected:
  void Observe(const Observation& seen) {
    const auto status = store_->Observe({seen});
    EXPECT_TRUE(status.ok()) << status;
  }
  std::vector<JobRecord> Jobs() { return JobsOf(*store_); }
  JobRecord Job() {
    const auto jobs = Jobs();
    EXPECT_EQ(jobs.size(), 1u);
    return jobs.empty() ? JobRecord() : jobs.back();
  }
  JobRecord Lease() {
    return store_->Lease(Job().job.id(), "a", kLimits, kAttempts).value();
  }
  // The worker finds the only job's checkpoint incomplete.
  void FindIncomplete(absl::Time not_before) {
    const JobRecord job = Lease();
    ASSERT_TRUE(store_
                    ->Fail(job.job.id(), job.token, v1::OUTCOME_INCOMPLETE,
                           "too short", {v1::JOB_STATE_WAITING, not_before})
                    .ok());
  }

  TestStore store_;
};

TEST_F(ObserveTest, TriesAnIncompleteCheckpointAgainAfterItsBackoff) {
  Observe(Seen(1));
  FindIncomplete(store_.now() + absl::Seconds(5));
  Observe(Seen(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(Job().reason, "too short");
  store_.Advance(absl::Seconds(4));
  Observe(Seen(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_WAITING);
  store_.Advance(absl::Seconds(1));
  Observe(Seen(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(Job().job.attempt(), 1) << "what bounds it";
}

// What a server of the version before left in the store.
TEST_F(ObserveTest, AnotherVersionOfTheDefinitionsIsMeasuredAnew) {
  Observation before = Seen(1), open = Seen(2);
  before.spec_version = open.spec_version = kSpecVersion - 1;
  Observe(before);
  const JobRecord old = Lease();
  const v1::Measurement sent = MeasurementOf(old.job, 100);
  EXPECT_EQ(sent.header().spec_version(), kSpecVersion - 1);
  ASSERT_TRUE(store_->Commit({{old.job.id(), old.token, sent}})[0].ok());
  Observe(open);

  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(1);
  EXPECT_EQ(store_->GetMeasurement(request)->vectors(0).values(0), 100);
  Observe(Seen(1));
  Observe(Seen(2));
  // The old result stays and answers until there is a new one.
  EXPECT_EQ(store_->GetMeasurement(request)->vectors(0).values(0), 100);
  EXPECT_EQ(store_->GetJob(old.job.id())->state, v1::JOB_STATE_DONE);
  const int64_t again = JobOfStep(*store_, 1);
  ASSERT_NE(again, 0);
  EXPECT_EQ(store_->GetJob(again)->job.spec_version(), kSpecVersion);
  // Nobody measures what was asked for by the old definitions.
  EXPECT_NE(JobOfStep(*store_, 2, v1::JOB_STATE_SUPERSEDED), 0);
  for (const JobRecord& job : Jobs()) {
    if (job.state != v1::JOB_STATE_QUEUED) continue;
    EXPECT_EQ(store_->GetJob(job.job.id())->job.spec_version(), kSpecVersion);
  }
}

TEST_F(ObserveTest, TriesNoIncompleteCheckpointAgainThatIsStillBeingWritten) {
  Observe(Seen(1));
  FindIncomplete(store_.now() + absl::Seconds(5));
  store_.Advance(absl::Seconds(6));
  Observe(Seen(1, "first", v1::JOB_STATE_WAITING));
  EXPECT_EQ(Job().state, v1::JOB_STATE_WAITING);
  EXPECT_EQ(Job().reason, "too short");
}

TEST_F(ObserveTest, LetsAnIncompleteCheckpointWithoutATimeWaitForAChange) {
  Observe(Seen(1));
  FindIncomplete(absl::InfinitePast());
  store_.Advance(absl::Hours(100));
  Observe(Seen(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_WAITING);
  Observe(Seen(1, "second"));
  const auto jobs = Jobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].state, v1::JOB_STATE_SUPERSEDED);
  EXPECT_EQ(jobs[1].state, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(jobs[1].job.attempt(), 0);
}

TEST_F(ObserveTest, RequeuesAnIncompleteCheckpointWhenAPersonSaysSo) {
  Observe(Seen(1));
  FindIncomplete(absl::InfinitePast());
  EXPECT_EQ(*store_->Requeue("toy", {}, false), 1);
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  Observe(Seen(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  // One that merely waits is not touched.
  Observe(Seen(2, "half", v1::JOB_STATE_WAITING));
  EXPECT_EQ(*store_->Requeue("toy", {}, false), 0);
}

TEST_F(ObserveTest, KeepsOneJobOfACheckpointThatIsBeingWritten) {
  for (int look = 0; look < 5; ++look) {
    Observation seen =
        Seen(1, absl::StrCat("look ", look), v1::JOB_STATE_WAITING);
    seen.reason = absl::StrCat("reason ", look);
    Observe(seen);
    EXPECT_EQ(Job().reason, seen.reason);
    EXPECT_EQ(Job().job.checkpoint().fingerprint(),
              seen.checkpoint.fingerprint());
  }
  Observe(Seen(1, "whole"));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
  Observe(Seen(1, "rewritten", v1::JOB_STATE_WAITING));
  EXPECT_EQ(Jobs().size(), 2u) << "a content that could be leased stays";
}

TEST_F(ObserveTest, KeepsAJobThatAWorkerHasSeenBesideItsChange) {
  Observe(Seen(1));
  FindIncomplete(store_.now() + absl::Seconds(5));
  Observe(Seen(1, "second", v1::JOB_STATE_WAITING));
  const auto jobs = Jobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].state, v1::JOB_STATE_SUPERSEDED);
}

TEST_F(ObserveTest, GivesAnOpenJobTheFactsThatBecameKnown) {
  Observe(Seen(1));
  Observation seen = Seen(1);
  seen.checkpoint.set_path("/runs/toy/step-1");
  seen.checkpoint.set_tokens(4096);
  seen.model_config = "/configs/toy.json";
  seen.ablation.set_heads("auto");
  Observe(seen);
  const JobRecord job = Lease();
  EXPECT_EQ(job.job.checkpoint().path(), "/runs/toy/step-1");
  EXPECT_EQ(job.job.checkpoint().tokens(), 4096);
  EXPECT_EQ(job.job.model_config(), "/configs/toy.json");
  EXPECT_EQ(job.job.ablation().heads(), "auto");
  // Not under the feet of its worker.
  Observe(Seen(1));
  EXPECT_EQ(Job().job.checkpoint().tokens(), 4096);
}

TEST_F(ObserveTest, EndsWhatIsNotSupported) {
  Observation seen = Seen(1, "unsupported", v1::JOB_STATE_DEAD);
  seen.outcome = v1::OUTCOME_UNSUPPORTED;
  seen.reason = "nanotron";
  Observe(Seen(1, "half", v1::JOB_STATE_WAITING));
  Observe(seen);
  EXPECT_EQ(Job().state, v1::JOB_STATE_DEAD);
  EXPECT_EQ(Job().outcome, v1::OUTCOME_UNSUPPORTED);
  EXPECT_EQ(Job().reason, "nanotron");
  Observe(seen);
  EXPECT_EQ(Jobs().size(), 1u);
}

TEST_F(ObserveTest, AnEditedProbeSupersedesWhatIsNotMeasured) {
  for (int64_t step : {1, 2, 3}) {
    ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
  }
  const int64_t queued = JobOfStep(*store_, 1), leased = JobOfStep(*store_, 2);
  const auto lease = store_->Lease(leased, "w", {}, 5).value();
  for (int64_t step : {1, 2}) {
    Observation edited = Seen(step);
    edited.probe.set_digest("edited");
    ASSERT_TRUE(store_->Observe({edited}).ok());
  }
  EXPECT_EQ(store_->GetJob(queued)->state, v1::JOB_STATE_SUPERSEDED);
  EXPECT_EQ(store_->GetJob(queued)->reason, "the probe was changed");
  EXPECT_EQ(store_->CheckLease(leased, lease.token).status().code(),
            absl::StatusCode::kAborted);
  EXPECT_NE(JobOfStep(*store_, 1), 0);
  EXPECT_NE(JobOfStep(*store_, 3), 0);
  // The old probe is there again: so are its jobs.
  ASSERT_TRUE(store_->Observe({Seen(1)}).ok());
  EXPECT_EQ(JobOfStep(*store_, 1), queued);
}

// What was queued of the other one would be tried for ever: no worker finds it.
TEST_F(ObserveTest, AProbeThatIsPutBackSupersedesWhatTheOtherOneLeft) {
  for (int64_t step : {1, 2}) {
    ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
    const auto lease =
        store_->Lease(JobOfStep(*store_, step), "w", {}, 5).value();
    const absl::Status ended =
        step == 1
            ? store_
                  ->Commit({{lease.job.id(), lease.token,
                             MeasurementOf(lease.job, 1)}})[0]
                  .status()
            : store_->Fail(lease.job.id(), lease.token, v1::OUTCOME_CORRUPT,
                           "cut", {v1::JOB_STATE_DEAD});
    ASSERT_TRUE(ended.ok()) << ended;
    Observation edited = Seen(step);
    edited.probe.set_digest("edited");
    ASSERT_TRUE(store_->Observe({edited}).ok());
    const int64_t other = JobOfStep(*store_, step);
    EXPECT_EQ(store_->GetJob(other)->state, v1::JOB_STATE_QUEUED);
    ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
    EXPECT_EQ(store_->GetJob(other)->state, v1::JOB_STATE_SUPERSEDED);
  }
}

// A look may be under way while its run is removed.
TEST_F(ObserveTest, OfARunThatWasRemovedNothingIsTaken) {
  v1::RunConfig run;
  run.set_name("toy");
  ASSERT_TRUE(store_->PutRun(run).ok());
  Observe(Seen(1));
  ASSERT_TRUE(store_->RemoveRun("toy").ok());
  EXPECT_EQ(store_->Observe({Seen(1), Seen(2)}).code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(Job().state, v1::JOB_STATE_SKIPPED);
  ASSERT_TRUE(store_->PutRun(run).ok());
  Observe(Seen(1));
  EXPECT_EQ(Job().state, v1::JOB_STATE_QUEUED);
}

TEST_F(ObserveTest, NewMetricDefinitionsSupersedeWhatIsNotMeasured) {
  ASSERT_TRUE(store_->Observe({Seen(1)}).ok());
  const int64_t old = JobOfStep(*store_, 1);
  Observation seen = Seen(1);
  seen.spec_version = kSpecVersion + 1;
  ASSERT_TRUE(store_->Observe({seen}).ok());
  EXPECT_EQ(store_->GetJob(old)->state, v1::JOB_STATE_SUPERSEDED);
  EXPECT_EQ(store_->GetJob(old)->reason,
            "the definitions of the metrics are of another version");
}

}  // namespace
}  // namespace sinkwatch::store

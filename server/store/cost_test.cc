// What questions cost where there is much: an index answers them.
#include <functional>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/statement.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

class CostTest : public testing::Test {
 protected:
  void Fill(const std::string& run, int64_t steps, v1::JobState state) {
    std::vector<Observation> seen;
    for (int64_t step = 0; step < steps; ++step) {
      seen.push_back(Seen(step, "first", state));
      seen.back().checkpoint.set_run(run);
    }
    v1::RunConfig config;
    config.set_name(run);
    ASSERT_TRUE(store_->PutRun(config).ok());
    ASSERT_TRUE(store_->Observe(seen).ok());
  }
  StatementCosts CostOf(const std::function<void()>& question) {
    const StatementCosts before = CostsOfThread();
    question();
    const StatementCosts after = CostsOfThread();
    return {after.steps - before.steps, after.scanned - before.scanned,
            after.sorts - before.sorts};
  }

  TestStore store_;
};

TEST_F(CostTest, ALeaseDoesNotReadTheQueue) {
  Fill("queued", 3000, v1::JOB_STATE_QUEUED);
  Fill("waiting", 3000, v1::JOB_STATE_WAITING);
  const StatementCosts cost = CostOf([this] {
    ASSERT_EQ(store_->LeasableRuns()->size(), 1u);
    ASSERT_EQ(store_->LeasableAround("queued")->size(), 2u);
    ASSERT_EQ(store_->LeasableAround("queued", 700, 700)->size(), 2u);
  });
  EXPECT_LT(cost.steps, 2000);
  EXPECT_EQ(cost.scanned, 0);
}

TEST_F(CostTest, RetriesThatAreNotDueCostNothingInLookingForRuns) {
  Fill("queued", 500, v1::JOB_STATE_QUEUED);
  while (!store_->LeasableRuns()->empty()) {
    const auto job = store_->LeasableAround("queued")->at(0);
    const auto lease = store_->Lease(job.job.id(), "w", {}, 5).value();
    ASSERT_TRUE(
        store_
            ->Fail(lease.job.id(), lease.token, v1::OUTCOME_TRANSIENT, "io",
                   {v1::JOB_STATE_RETRYING, store_.now() + absl::Hours(1)})
            .ok());
  }
  EXPECT_LT(CostOf([this] { store_->LeasableRuns().value(); }).steps, 300);
}

TEST_F(CostTest, LeasedJobsAreCountedWithoutLookingAtOthers) {
  Fill("queued", 3000, v1::JOB_STATE_QUEUED);
  for (int i = 0; i < 2; ++i) {
    const auto job = store_->LeasableAround("queued")->at(0);
    ASSERT_TRUE(store_->Lease(job.job.id(), "w", {}, 5).ok());
  }
  const StatementCosts cost =
      CostOf([this] { EXPECT_EQ(*store_->CountLeased(), 2); });
  EXPECT_LT(cost.steps, 100);
}

TEST_F(CostTest, JobsAreCountedOnceUntilSomethingIsWritten) {
  Fill("toy", 3000, v1::JOB_STATE_QUEUED);
  const auto queued = [this] { return store_->CountJobs()->at(0).count; };
  EXPECT_EQ(queued(), 3000);
  EXPECT_EQ(CostOf([&] { EXPECT_EQ(queued(), 3000); }).steps, 0);
  Fill("toy", 3001, v1::JOB_STATE_QUEUED);
  EXPECT_EQ(queued(), 3001);
}

TEST_F(CostTest, ThePageOfARunIsTheSameWorkHoweverManyCheckpointsThereAre) {
  Fill("toy", 3000, v1::JOB_STATE_QUEUED);
  for (const bool newest : {false, true}) {
    for (const std::vector<v1::JobState>& states :
         {std::vector<v1::JobState>{},
          std::vector<v1::JobState>{v1::JOB_STATE_QUEUED, v1::JOB_STATE_DEAD,
                                    v1::JOB_STATE_WAITING}}) {
      CheckpointQuery query;
      query.run = "toy";
      query.newest_first = newest;
      query.states = states;
      query.page.size = 1;
      query.page.token = "1500:1500:";
      const StatementCosts cost = CostOf(
          [&] { ASSERT_EQ(store_->Checkpoints(query)->jobs.size(), 1u); });
      EXPECT_LT(cost.steps, 700) << newest << " " << states.size();
      EXPECT_EQ(cost.sorts, 0);
      EXPECT_EQ(cost.scanned, 0);
    }
  }
}

TEST_F(CostTest, ANewCheckpointIsTheSameWorkHoweverManyWait) {
  const auto observe = [this](int64_t step) {
    return CostOf([&] {
      ASSERT_TRUE(
          store_->Observe({Seen(step, "first", v1::JOB_STATE_WAITING)}).ok());
    });
  };
  observe(0);
  const StatementCosts first = observe(1);
  Fill("toy", 3000, v1::JOB_STATE_WAITING);
  EXPECT_LT(observe(4000).steps, first.steps * 2);
}

}  // namespace
}  // namespace sinkwatch::store

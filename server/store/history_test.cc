// Random histories of workers against a model that fits on a page.
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

constexpr int kJobs = 4;
constexpr int kAttempts = 4;
const LeaseLimits kLimits{absl::Seconds(60), absl::Minutes(10)};

struct ModelJob {
  v1::JobState state = v1::JOB_STATE_QUEUED;
  int attempt = 0;
  int64_t token = 0;
  absl::Time lease_until;
  absl::Time not_before;

  bool Leasable(absl::Time now) const {
    return state == v1::JOB_STATE_QUEUED ||
           (state == v1::JOB_STATE_RETRYING && not_before <= now) ||
           (state == v1::JOB_STATE_LEASED && lease_until < now);
  }
  bool Holds(int64_t with) const {
    return state == v1::JOB_STATE_LEASED && token == with;
  }
};

class History {
 public:
  explicit History(int seed) : random_(seed) {
    for (int step = 0; step < kJobs; ++step) {
      EXPECT_TRUE(store_->Observe({Seen(step)}).ok());
      model_[JobOfStep(*store_, step)] = {};
    }
  }

  void Step() {
    auto entry = model_.begin();
    std::advance(entry, Draw(kJobs));
    const int64_t id = entry->first;
    ModelJob& job = entry->second;
    // Mostly the current token, at times that of a zombie.
    const int64_t token = job.token - (Draw(4) == 0 ? 1 : 0);
    switch (Draw(7)) {
      case 0:
      case 1:
        return Lease(id, job);
      case 2:
        return Renew(id, token, job);
      case 3:
        return Fail(id, token, job);
      case 4:
        return Release(id, token, job);
      case 5:
        return Draw(4) == 0 ? Commit(id, token, job) : Requeue();
      default:
        store_.Advance(absl::Seconds(Draw(50)));
    }
  }

  void Compare() {
    for (const auto& [id, job] : model_) {
      const JobRecord record = *store_->GetJob(id);
      ASSERT_EQ(record.state, job.state);
      ASSERT_EQ(record.job.attempt(), job.attempt);
      ASSERT_EQ(record.token, job.token);
    }
  }

 private:
  int Draw(int below) { return static_cast<int>(random_() % below); }

  void Lease(int64_t id, ModelJob& job) {
    const bool ok = store_->Lease(id, "w", kLimits, kAttempts).ok();
    const bool may = job.Leasable(store_.now());
    ASSERT_EQ(ok, may && job.attempt < kAttempts);
    if (ok) {
      job.state = v1::JOB_STATE_LEASED;
      ++job.attempt;
      ++job.token;
      job.lease_until = store_.now() + kLimits.ttl;
    } else if (may) {
      job.state = v1::JOB_STATE_DEAD;
    }
  }
  void Renew(int64_t id, int64_t token, ModelJob& job) {
    const bool ok = store_->Renew(id, token, 0.5, ++ticks_, kLimits).ok();
    ASSERT_EQ(ok, job.Holds(token));
    if (ok) job.lease_until = store_.now() + kLimits.ttl;
  }
  void Fail(int64_t id, int64_t token, ModelJob& job) {
    const absl::Time later = store_.now() + absl::Seconds(Draw(30));
    const bool ok = store_
                        ->Fail(id, token, v1::OUTCOME_TRANSIENT, "io",
                               {v1::JOB_STATE_RETRYING, later})
                        .ok();
    ASSERT_EQ(ok, job.Holds(token));
    if (!ok) return;
    job.state = v1::JOB_STATE_RETRYING;
    job.not_before = later;
  }
  void Release(int64_t id, int64_t token, ModelJob& job) {
    const bool ok = store_->Release(id, token).ok();
    ASSERT_EQ(ok, job.Holds(token));
    if (!ok) return;
    job.state = v1::JOB_STATE_QUEUED;
    --job.attempt;
  }
  void Commit(int64_t id, int64_t token, ModelJob& job) {
    const auto result = store_->Commit(
        {{id, token, MeasurementOf(store_->GetJob(id)->job, 1)}})[0];
    if (job.state == v1::JOB_STATE_DONE) {
      ASSERT_EQ(*result, CommitResult::kAlreadyCommitted);
    } else {
      ASSERT_EQ(result.ok(), job.Holds(token));
      if (result.ok()) job.state = v1::JOB_STATE_DONE;
    }
  }
  void Requeue() {
    ASSERT_TRUE(store_->Requeue("toy", {}, false).ok());
    for (auto& [id, job] : model_) {
      if (job.state != v1::JOB_STATE_DEAD) continue;
      job.state = v1::JOB_STATE_QUEUED;
      job.attempt = 0;
    }
  }

  std::mt19937 random_;
  TestStore store_;
  std::map<int64_t, ModelJob> model_;
  int64_t ticks_ = 0;
};

TEST(HistoryTest, AgreesWithTheModelAfterEveryOperation) {
  for (int seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    History history(seed);
    for (int i = 0; i < 300; ++i) {
      history.Step();
      history.Compare();
      ASSERT_FALSE(testing::Test::HasFatalFailure()) << "operation " << i;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::store

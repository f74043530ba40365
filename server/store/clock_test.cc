// A wall clock that is set, and a steady one, each moved by the test: the
// states of jobs follow the steady one while the store is open, and the wall
// clock across restarts, as far as it can be believed.
#include "server/store/clock.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

constexpr absl::Duration kDays = absl::Hours(48);
constexpr absl::Duration kTtl = absl::Seconds(60);
constexpr absl::Duration kSecond = absl::Seconds(1);

class ClockTest : public testing::Test {
 protected:
  ClockTest() : path_(testing::TempDir() + "/clock.db") {
    for (const char* end : {"", "-wal", "-shm"}) {
      std::remove((path_ + end).c_str());
    }
    Open();
    EXPECT_TRUE(store_->Observe({Seen(1)}).ok());
    id_ = JobOfStep(*store_, 1);
  }
  void Open() {
    store_ = nullptr;
    StoreOptions options;
    options.path = path_;
    options.clock =
        SteadyFromNow([this] { return wall_; }, [this] { return steady_; });
    store_ = Store::Open(std::move(options)).value();
  }
  // Time passes, by both clocks.
  void Wait(absl::Duration time) {
    wall_ += time;
    steady_ += time;
  }
  absl::StatusOr<JobRecord> Lease() {
    return store_->Lease(id_, "w", {kTtl, absl::Minutes(10)}, 5);
  }
  bool MayBeLeased() { return !store_->LeasableRuns()->empty(); }
  void Fail(const JobRecord& lease, v1::JobState state, absl::Duration wait) {
    ASSERT_TRUE(store_
                    ->Fail(id_, lease.token, v1::OUTCOME_INCOMPLETE, "short",
                           {state, store_->Now() + wait})
                    .ok());
  }

  const std::string path_;
  absl::Time wall_ = absl::FromUnixSeconds(1'700'000'000);
  absl::Time steady_ = absl::FromUnixSeconds(12345);
  std::unique_ptr<Store> store_;
  int64_t id_ = 0;
};

TEST_F(ClockTest, ShowsWallTimeOfItsStartAndThenWhatTheSteadyClockAdds) {
  const Clock clock =
      SteadyFromNow([this] { return wall_; }, [this] { return steady_; });
  const absl::Time start = wall_;
  Wait(kSecond);
  wall_ -= kDays;
  EXPECT_EQ(clock(), start + kSecond);
}

TEST_F(ClockTest, TheMachinesClockGoesOn) {
  const absl::Time before = SteadyTime();
  EXPECT_GE(SteadyTime(), before);
}

TEST_F(ClockTest, ALeaseRunsOutInItsTimeWhateverTheWallClockSays) {
  for (const absl::Duration jump : {-kDays, kDays}) {
    const JobRecord lease = *Lease();
    wall_ += jump;
    Wait(kTtl);
    EXPECT_FALSE(MayBeLeased()) << jump;
    Wait(kSecond);
    EXPECT_TRUE(MayBeLeased()) << jump;
    ASSERT_TRUE(store_->Release(id_, lease.token).ok());
  }
}

TEST_F(ClockTest, AWorkerKeepsItsLeaseWhateverTheWallClockSays) {
  const JobRecord lease = *Lease();
  for (int i = 1; i < 100; ++i) {
    Wait(kTtl / 3);
    wall_ += i % 2 == 0 ? kDays : -kDays;
    ASSERT_TRUE(
        store_->Renew(id_, lease.token, .5, i, {kTtl, absl::Minutes(10)}).ok());
    EXPECT_FALSE(MayBeLeased());
  }
}

TEST_F(ClockTest, ABackOffIsOverInItsTimeWhateverTheWallClockSays) {
  for (const absl::Duration jump : {-kDays, kDays}) {
    Fail(*Lease(), v1::JOB_STATE_RETRYING, 10 * kSecond);
    wall_ += jump;
    Wait(9 * kSecond);
    EXPECT_FALSE(MayBeLeased()) << jump;
    Wait(kSecond);
    EXPECT_TRUE(MayBeLeased()) << jump;
  }
}

TEST_F(ClockTest, ALeaseGoesOnAcrossARestart) {
  ASSERT_TRUE(Lease().ok());
  Wait(kTtl / 2);
  Open();
  EXPECT_FALSE(MayBeLeased());
  Wait(kTtl / 2 + kSecond);
  EXPECT_TRUE(MayBeLeased());
}

// By what the wall clock says the lease would be held for two days more.
TEST_F(ClockTest, ALeaseHasNoMoreThanItsTimeAfterARestartWithAnEarlierClock) {
  const JobRecord lease = *Lease();
  Wait(kTtl / 3);
  ASSERT_TRUE(
      store_->Renew(id_, lease.token, .5, 1, {kTtl, absl::Minutes(10)}).ok());
  wall_ -= kDays;
  Open();
  Wait(kTtl);
  EXPECT_FALSE(MayBeLeased());
  EXPECT_TRUE(
      store_->Renew(id_, lease.token, .5, 1, {kTtl, absl::Minutes(10)}).ok());
  Wait(kTtl + kSecond);
  EXPECT_TRUE(MayBeLeased());
}

TEST_F(ClockTest, ABackOffHasNoMoreThanItsTimeAfterARestartWithAnEarlierClock) {
  Fail(*Lease(), v1::JOB_STATE_RETRYING, 10 * kSecond);
  wall_ -= kDays;
  Open();
  Wait(9 * kSecond);
  EXPECT_FALSE(MayBeLeased());
  Wait(kSecond);
  EXPECT_TRUE(MayBeLeased());
}

TEST_F(ClockTest, AnIncompleteOneIsTriedAgainAfterARestartWithAnEarlierClock) {
  Fail(*Lease(), v1::JOB_STATE_WAITING, 10 * kSecond);
  wall_ -= kDays;
  Open();
  Wait(10 * kSecond);
  ASSERT_TRUE(store_->Observe({Seen(1)}).ok());
  EXPECT_TRUE(MayBeLeased());
}

// What waits for its files to change waits for that and not for a time.
TEST_F(ClockTest, WhatWaitsForAChangeIsNotTriedAgainByARestart) {
  const JobRecord lease = *Lease();
  ASSERT_TRUE(store_
                  ->Fail(id_, lease.token, v1::OUTCOME_INCOMPLETE, "short",
                         {v1::JOB_STATE_WAITING})
                  .ok());
  wall_ -= kDays;
  Open();
  Wait(kDays);
  ASSERT_TRUE(store_->Observe({Seen(1)}).ok());
  EXPECT_FALSE(MayBeLeased());
}

}  // namespace
}  // namespace sinkwatch::store

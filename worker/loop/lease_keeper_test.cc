#include "worker/loop/lease_keeper.h"

#include <chrono>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "worker/loop/scripted_server_testing.h"

namespace sinkwatch::worker {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(600);

// False after a minute.
bool BecomesLost(const LeaseKeeper& keeper) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!keeper.lost() && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  return keeper.lost();
}

TEST(LeaseKeeperTest, RenewsByItselfWhileTheCallerIsBusy) {
  ScriptedServer server;
  const auto stub = server.NewStub();
  const LeaseKeeper keeper(*stub, TestLease(kShort));
  EXPECT_TRUE(server.WaitFor(
      [](const auto& told) { return told.renewed.size() >= 3; }));
  const auto first = server.told().renewed[0];
  EXPECT_EQ(first.job_id(), 7);
  EXPECT_EQ(first.token(), 3);
  EXPECT_EQ(first.ticks(), 0);
  EXPECT_FALSE(keeper.lost());
}

TEST(LeaseKeeperTest, TellsHowFarTheJobIs) {
  ScriptedServer server;
  const auto stub = server.NewStub();
  LeaseKeeper keeper(*stub, TestLease(kShort));
  keeper.Report(0.25);
  keeper.Report(0.5);
  EXPECT_TRUE(server.WaitFor([](const auto& told) {
    return !told.renewed.empty() && told.renewed.back().ticks() == 2 &&
           told.renewed.back().progress() == 0.5;
  }));
}

TEST(LeaseKeeperTest, LosesTheLeaseOnTheServersWord) {
  for (grpc::StatusCode code :
       {grpc::StatusCode::ABORTED, grpc::StatusCode::NOT_FOUND}) {
    ScriptedServer server;
    server.AnswerRenewals(code);
    const auto stub = server.NewStub();
    const LeaseKeeper keeper(*stub, TestLease(kShort));
    EXPECT_TRUE(BecomesLost(keeper));
  }
}

TEST(LeaseKeeperTest, KeepsTheLeaseWhileTheServerCannotAnswer) {
  ScriptedServer server;
  server.AnswerRenewals(grpc::StatusCode::UNAVAILABLE);
  const auto stub = server.NewStub();
  const LeaseKeeper keeper(*stub, TestLease(kShort));
  EXPECT_TRUE(server.WaitFor(
      [](const auto& told) { return told.renewed.size() >= 2; }));
  EXPECT_FALSE(keeper.lost());
}

TEST(LeaseKeeperTest, RenewsAgainWhenTheServerComesBack) {
  ScriptedServer server;
  const auto stub = server.NewStub();
  const LeaseKeeper keeper(*stub, TestLease(kShort));
  ASSERT_TRUE(
      server.WaitFor([](const auto& told) { return !told.renewed.empty(); }));
  server.Stop();
  server.Start();
  const size_t before = server.told().renewed.size();
  EXPECT_TRUE(server.WaitFor(
      [&](const auto& told) { return told.renewed.size() > before; }));
  EXPECT_FALSE(keeper.lost());
}

TEST(LeaseKeeperTest, EndsAtOnceWithALongLease) {
  ScriptedServer server;
  const auto stub = server.NewStub();
  const auto start = std::chrono::steady_clock::now();
  { const LeaseKeeper keeper(*stub, TestLease(absl::Hours(3))); }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes(1));
  EXPECT_TRUE(server.told().renewed.empty());
}

}  // namespace
}  // namespace sinkwatch::worker

#include "server/upkeep.h"

#include <atomic>
#include <future>
#include <new>
#include <thread>

#include "gtest/gtest.h"

namespace sinkwatch::server {
namespace {

constexpr std::chrono::milliseconds kOften(1);

UpkeepOptions::Check CheckOf(std::atomic<bool>& fine) {
  UpkeepOptions::Check check;
  check.what = "the port";
  check.look = [&fine] {
    return fine ? absl::OkStatus() : absl::UnavailableError("is silent");
  };
  check.interval = kOften;
  return check;
}

TEST(Upkeep, SaysWhatIsWrongFromTheStart) {
  std::atomic<bool> fine{false};
  UpkeepOptions options;
  options.checks = {CheckOf(fine)};
  const Upkeep upkeep(options);
  EXPECT_EQ(upkeep.Why(), absl::UnavailableError("the port: is silent"));
}

TEST(Upkeep, TellsOfEachChange) {
  std::atomic<bool> fine{true};
  std::promise<absl::Status> wrong, right;
  UpkeepOptions options;
  options.checks = {CheckOf(fine)};
  options.on_change = [&](const absl::Status& why) {
    (why.ok() ? right : wrong).set_value(why);
  };
  const Upkeep upkeep(options);
  EXPECT_TRUE(upkeep.Why().ok());
  fine = false;
  EXPECT_EQ(wrong.get_future().get().code(), absl::StatusCode::kUnavailable);
  fine = true;
  EXPECT_TRUE(right.get_future().get().ok());
  EXPECT_TRUE(upkeep.Why().ok());
}

TEST(Upkeep, WhatStaysWrongIsLostOnceItIsLate) {
  std::atomic<bool> fine{false};
  std::promise<std::string> lost;
  UpkeepOptions options;
  options.checks = {CheckOf(fine)};
  options.checks[0].lost_after = std::chrono::milliseconds(20);
  std::atomic<bool> told{false};
  options.on_lost = [&](const absl::Status& why) {
    if (!told.exchange(true)) lost.set_value(why.ToString());
  };
  const Upkeep upkeep(options);
  EXPECT_EQ(lost.get_future().get(), "UNAVAILABLE: the port: is silent");
}

TEST(Upkeep, ALookThatIsNotAnsweredIsWrongMeanwhile) {
  std::atomic<bool> fine{true};
  std::promise<void> asked, answer;
  int looks = 0;
  UpkeepOptions options;
  options.patience = std::chrono::milliseconds(20);
  options.checks = {CheckOf(fine)};
  options.checks[0].look = [&] {
    if (++looks == 2) {
      asked.set_value();
      answer.get_future().wait();
    }
    return absl::OkStatus();
  };
  const Upkeep upkeep(options);
  asked.get_future().wait();
  while (upkeep.Why().ok()) std::this_thread::yield();
  EXPECT_EQ(upkeep.Why(),
            absl::UnavailableError("the port: has not answered for 0 s"));
  answer.set_value();
  while (!upkeep.Why().ok()) std::this_thread::yield();
}

TEST(Upkeep, WhatThrowsCostsItself) {
  std::atomic<bool> fine{true};
  std::atomic<int> tidied{0};
  std::promise<void> twice;
  UpkeepOptions options;
  options.checks = {CheckOf(fine)};
  options.checks[0].look = []() -> absl::Status { throw std::bad_alloc(); };
  options.tidy_interval = kOften;
  options.tidy = [&] {
    if (++tidied == 2) twice.set_value();
    throw std::bad_alloc();
  };
  const Upkeep upkeep(options);
  twice.get_future().wait();
  EXPECT_EQ(upkeep.Why().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace sinkwatch::server

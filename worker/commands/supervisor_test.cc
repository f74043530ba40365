#include "worker/commands/supervisor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::worker {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(10);

TEST(RestartPolicyTest, EachEndInARowDoublesThePauseUpToTheLongest) {
  RestartPolicy policy({absl::Seconds(1), absl::Seconds(5), absl::Minutes(5)});
  for (const int seconds : {1, 2, 4, 5, 5}) {
    EXPECT_EQ(policy.Ended(43, absl::Seconds(3)), absl::Seconds(seconds));
  }
}

TEST(RestartPolicyTest, ASteadyRunStartsOver) {
  RestartPolicy policy({absl::Seconds(1), absl::Seconds(60), absl::Minutes(5)});
  policy.Ended(std::nullopt, absl::Seconds(1));
  EXPECT_EQ(policy.Ended(std::nullopt, absl::Seconds(1)), absl::Seconds(2));
  EXPECT_EQ(policy.Ended(1, absl::Minutes(6)), absl::Seconds(1));
}

TEST(RestartPolicyTest, WhatAStartWouldNotMendIsNotStartedAgain) {
  for (const int code : {0, 2, 42}) {
    EXPECT_FALSE(RestartPolicy({}).Ended(code, absl::Hours(1))) << code;
  }
}

class SupervisorTest : public ::testing::Test {
 protected:
  WorkerCommand Shell(const std::string& script) const {
    return {"cpu", {"/bin/sh", "-c", "cd " + folder_.path() + "; " + script}};
  }
  std::string Read(const std::string& name) const {
    return files::ReadFile(folder_.path() + "/" + name);
  }
  int64_t Lines(const std::string& name) const {
    const std::string text = Read(name);
    return std::count(text.begin(), text.end(), '\n');
  }
  const RestartPauses short_pauses_{kShort, 4 * kShort, absl::Minutes(5)};
  base::TempFolder folder_;
};

TEST_F(SupervisorTest, EndsWhenEachWorkerHasNothingMoreToDo) {
  EXPECT_EQ(Supervise({Shell("echo >>a"), Shell("echo >>b")}), 0);
  EXPECT_EQ(Lines("a"), 1);
  EXPECT_EQ(Lines("b"), 1);
}

TEST_F(SupervisorTest, AWorkerWhoseSelfTestFailsIsLeftAndTheOthersGoOn) {
  EXPECT_EQ(
      Supervise({Shell("echo >>a; exit 42"), Shell("sleep 0.2; echo done >>b")},
                short_pauses_),
      42);
  EXPECT_EQ(Lines("a"), 1);
  EXPECT_EQ(Lines("b"), 1);
}

TEST_F(SupervisorTest, AWorkerThatLostItsDeviceIsStartedAgain) {
  const std::string third_time = "echo >>a; [ $(wc -l <a) = 3 ] || exit 43";
  EXPECT_EQ(Supervise({Shell(third_time), Shell("echo >>b")}, short_pauses_),
            0);
  EXPECT_EQ(Lines("a"), 3);
  EXPECT_EQ(Lines("b"), 1);
}

TEST_F(SupervisorTest, AWorkerThatASignalEndedIsStartedAgain) {
  const std::string second_time =
      "echo >>a; [ $(wc -l <a) = 2 ] || kill -KILL $$";
  EXPECT_EQ(Supervise({Shell(second_time)}, short_pauses_), 0);
  EXPECT_EQ(Lines("a"), 2);
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsTriedAgainUntilItIsTold) {
  EXPECT_EQ(Supervise({{"cpu", {folder_.path() + "/none"}},
                       Shell("sleep 0.2; kill -TERM $PPID")},
                      short_pauses_),
            127);
}

// Each worker tells the supervisor's signal, and has its own code.
TEST_F(SupervisorTest, SigtermDrainsEveryWorker) {
  const std::string drains =
      "trap 'echo drained >>log; exit 0' TERM; echo >>ready; "
      "while :; do sleep 0.05; done";
  const std::string tells =
      "touch ready; until [ $(wc -l <ready) = 2 ]; do sleep 0.05; done; "
      "kill -TERM $PPID";
  EXPECT_EQ(Supervise({Shell(drains), Shell(drains), Shell(tells)}), 0);
  EXPECT_EQ(Lines("log"), 2);
}

TEST_F(SupervisorTest, AWorkerThatWaitsForItsPauseIsNotStartedAfterSigterm) {
  const RestartPauses long_pauses{absl::Hours(1), absl::Hours(1),
                                  absl::Hours(1)};
  EXPECT_EQ(Supervise({Shell("echo >>a; exit 43"),
                       Shell("sleep 0.3; kill -TERM $PPID")},
                      long_pauses),
            43);
  EXPECT_EQ(Lines("a"), 1);
}

TEST_F(SupervisorTest, WorkersEndWithTheSupervisor) {
  const pid_t supervisor = ::fork();
  if (supervisor == 0) {
    ::_exit(Supervise({Shell("echo $$ >pid; exec sleep 60")}));
  }
  const auto wait_for = [](const auto& condition) {
    for (int i = 0; i < 200 && !condition(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return condition();
  };
  ASSERT_TRUE(wait_for([&] {
    return ::access((folder_.path() + "/pid").c_str(), R_OK) == 0 &&
           Lines("pid") == 1;
  }));
  const pid_t worker = std::stoi(Read("pid"));
  ::kill(supervisor, SIGKILL);
  ::waitpid(supervisor, nullptr, 0);
  EXPECT_TRUE(wait_for([&] { return ::kill(worker, 0) != 0; }));
}

}  // namespace
}  // namespace sinkwatch::worker

// `run` as a person would start it: without a server, on the CPU.
#include <string>

#include "gtest/gtest.h"
#include "worker/commands/command_testing.h"

namespace sinkwatch::worker {
namespace {

// Nobody listens there.
constexpr char kNowhere[] =
    "--server=127.0.0.1:1 --exit_when_idle=300ms --threads=1";

class RunCommandTest : public CommandFixture {
 protected:
  int64_t Count(const std::string& words) const {
    int64_t count = 0;
    for (size_t at = error_.find(words); at != std::string::npos;
         at = error_.find(words, at + 1)) {
      ++count;
    }
    return count;
  }
};

TEST_F(RunCommandTest, OneWorkerEndsWhenThereIsNothingToDo) {
  EXPECT_EQ(Run(std::string("run --device=cpu ") + kNowhere), 0) << error_;
  EXPECT_EQ(Count("working server="), 1) << error_;
}

TEST_F(RunCommandTest, DevicesIsAWorkerForEachUnderOneSupervisor) {
  EXPECT_EQ(Run(std::string("run --devices=cpu,cpu --name=gpu7 ") + kNowhere),
            0)
      << error_;
  EXPECT_EQ(Count("worker started device=cpu"), 2) << error_;
  EXPECT_EQ(Count("ready device=\"cpu\" self_test=true"), 2) << error_;
  EXPECT_EQ(Count("name=gpu7-0"), 1) << error_;
  EXPECT_EQ(Count("name=gpu7-1"), 1) << error_;
  EXPECT_EQ(Count("worker ended device=cpu by=\"code 0\""), 2) << error_;
}

TEST_F(RunCommandTest, ADeviceThatThereIsNotEndsItsWorkerAlone) {
  EXPECT_EQ(Run(std::string("run --devices=cpu,tpu ") + kNowhere), 2) << error_;
  EXPECT_EQ(Count("device \"tpu\" is none of"), 1) << error_;
  EXPECT_EQ(Count("working server="), 1) << error_;
}

TEST_F(RunCommandTest, DeviceAndDevicesExcludeEachOther) {
  EXPECT_EQ(Run("run --device=cpu --devices=cpu,cpu"), 2);
  ExpectComplaint("--device or --devices, not both");
}

}  // namespace
}  // namespace sinkwatch::worker

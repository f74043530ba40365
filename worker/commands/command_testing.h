#ifndef SINKWATCH_WORKER_COMMANDS_COMMAND_TESTING_H_
#define SINKWATCH_WORKER_COMMANDS_COMMAND_TESTING_H_

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::worker {

// The worker's binary beside a tiny checkpoint and a probe.
class CommandFixture : public ::testing::Test {
 protected:
  // The exit code; what it wrote lies in out_ and error_.
  int Run(const std::string& arguments) {
    const std::string command = "worker/sinkwatch_worker " + arguments + " >" +
                                run_.file("out") + " 2>" + run_.file("error");
    const int status = std::system(command.c_str());
    out_ = files::ReadFile(run_.file("out"));
    error_ = files::ReadFile(run_.file("error"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  int Measure(const std::string& more = "") {
    return Run("measure --device=cpu --checkpoint=" + run_.checkpoint() +
               " --probe=" + run_.probe() + " " + more);
  }

  // One line on stderr that says `words`, nothing on stdout.
  void ExpectComplaint(const std::string& words) {
    EXPECT_EQ(out_, "");
    EXPECT_NE(error_.find(words), std::string::npos) << error_;
    EXPECT_EQ(std::count(error_.begin(), error_.end(), '\n'), 1) << error_;
  }

  executor::TinyRun run_;
  std::string out_;
  std::string error_;
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_COMMAND_TESTING_H_

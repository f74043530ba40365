// Runs the worker's binary as a person would.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::worker {
namespace {

using files::ReadFile;
using files::WriteFile;

class MeasureCommandTest : public ::testing::Test {
 protected:
  // The exit code; what it wrote lies in out_ and error_.
  int Run(const std::string& arguments) {
    const std::string command = "worker/sinkwatch_worker " + arguments + " >" +
                                run_.file("out") + " 2>" + run_.file("error");
    const int status = std::system(command.c_str());
    out_ = ReadFile(run_.file("out"));
    error_ = ReadFile(run_.file("error"));
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

  std::string weights_file() const {
    return run_.checkpoint() + "/model.safetensors";
  }

  executor::TinyRun run_;
  std::string out_;
  std::string error_;
};

TEST_F(MeasureCommandTest, MeasuredIsZeroWithJsonOnStdout) {
  EXPECT_EQ(Measure(), 0) << error_;
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["checkpoint"]["step"], 7);
  EXPECT_GT(json["measurements"].size(), 100u);
  EXPECT_NE(error_.find("measuring 100 %"), std::string::npos) << error_;
}

TEST_F(MeasureCommandTest, OutputGoesToTheFileAskedFor) {
  EXPECT_EQ(Measure("--format=csv --output=" + run_.file("v.csv")), 0);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(ReadFile(run_.file("v.csv")).rfind("domain,metric,layer", 0), 0u);
}

TEST_F(MeasureCommandTest, WarningsDoNotReachStdout) {
  // A shard with a tensor that its index leaves out is warned about.
  nlohmann::json index = {{"weight_map", nlohmann::json::object()}};
  for (const auto& [name, tensor] : run_.weights()) {
    index["weight_map"][name] = "model-00001-of-00001.safetensors";
  }
  index["weight_map"].erase("model.norm.weight");
  std::filesystem::rename(
      weights_file(), run_.checkpoint() + "/model-00001-of-00001.safetensors");
  WriteFile(run_.checkpoint() + "/model.safetensors.index.json", index.dump());
  EXPECT_EQ(Measure(), 4);
  EXPECT_EQ(out_, "");
  EXPECT_NE(error_.find("its index does not list"), std::string::npos)
      << error_;
}

TEST_F(MeasureCommandTest, BadUsageIsTwo) {
  EXPECT_EQ(Run("measure"), 2);
  ExpectComplaint("--checkpoint is missing");
  EXPECT_EQ(Measure("--dtype=float8"), 2);
  ExpectComplaint("--dtype=float8");
  EXPECT_EQ(Measure("--format=xml"), 2);
  ExpectComplaint("--format=xml");
  EXPECT_EQ(Measure("--metrics=no_such_metric"), 2);
  ExpectComplaint("no_such_metric");
  EXPECT_EQ(Measure("--tokens_per_batch=0"), 2);
  ExpectComplaint("--tokens_per_batch");
  EXPECT_EQ(Measure("--tokens_per_batch=many"), 2);
  ExpectComplaint("--tokens_per_batch=many");
  EXPECT_EQ(Measure("--nonsense"), 2);
  ExpectComplaint("--nonsense");
  EXPECT_EQ(Measure("--device=tpu"), 2);
  ExpectComplaint("tpu");
  EXPECT_EQ(Measure("again"), 2);
  ExpectComplaint("again");
  EXPECT_EQ(Run("dance"), 2);
  ExpectComplaint("dance");
  EXPECT_EQ(Run(""), 2);
  ExpectComplaint("no command");
}

TEST_F(MeasureCommandTest, IncompleteIsThree) {
  std::filesystem::remove(weights_file());
  EXPECT_EQ(Measure(), 3);
  ExpectComplaint(run_.checkpoint());
}

TEST_F(MeasureCommandTest, CorruptIsFour) {
  std::string bytes = ReadFile(weights_file());
  bytes[9] = '\0';
  WriteFile(weights_file(), bytes);
  EXPECT_EQ(Measure(), 4);
  ExpectComplaint("model.safetensors");
}

TEST_F(MeasureCommandTest, UnsupportedIsFive) {
  nlohmann::json config = executor::TinyLlama();
  config["architectures"] = {"NewForCausalLM"};
  WriteFile(run_.checkpoint() + "/config.json", config.dump());
  EXPECT_EQ(Measure(), 5);
  ExpectComplaint("NewForCausalLM");
}

TEST_F(MeasureCommandTest, VanishedIsSix) {
  std::filesystem::remove_all(run_.checkpoint());
  EXPECT_EQ(Measure(), 6);
  ExpectComplaint("step7");
}

TEST_F(MeasureCommandTest, UnwritableOutputIsOne) {
  EXPECT_EQ(Measure("--output=" + run_.file("no/such/folder")), 1);
  EXPECT_NE(error_.find("cannot write"), std::string::npos) << error_;
}

}  // namespace
}  // namespace sinkwatch::worker

// Runs the worker's binary as a person would.
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/commands/command_testing.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::worker {
namespace {

using files::ReadFile;
using files::WriteFile;

class MeasureCommandTest : public CommandFixture {
 protected:
  std::string weights_file() const {
    return run_.checkpoint() + "/model.safetensors";
  }
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
  // What a link still names was there once.
  std::filesystem::create_directory_symlink(run_.file("deleted"),
                                            run_.file("step8"));
  EXPECT_EQ(Run("measure --device=cpu --checkpoint=" + run_.file("step8") +
                " --probe=" + run_.probe()),
            6);
  ExpectComplaint("step8");
}

TEST_F(MeasureCommandTest, AFolderThatNeverWasIsBadUsage) {
  std::filesystem::remove_all(run_.checkpoint());
  EXPECT_EQ(Measure(), 2);
  ExpectComplaint("no such folder: " + run_.checkpoint());
}

TEST_F(MeasureCommandTest, UnwritableOutputIsOneBeforeAnythingIsComputed) {
  EXPECT_EQ(Measure("--output=" + run_.file("no/such/folder")), 1);
  ExpectComplaint("cannot write");
}

TEST_F(MeasureCommandTest, AFullDiskIsOne) {
  EXPECT_EQ(Measure("--output=/dev/full"), 1);
  EXPECT_NE(error_.find("cannot write /dev/full"), std::string::npos) << error_;
}

TEST_F(MeasureCommandTest, AFailureLeavesTheOutputAsItWas) {
  WriteFile(run_.file("old.json"), "old");
  WriteFile(run_.checkpoint() + "/config.json", "{");
  EXPECT_NE(Measure("--output=" + run_.file("old.json")), 0);
  EXPECT_EQ(ReadFile(run_.file("old.json")), "old");
  EXPECT_NE(Measure("--output=" + run_.file("new.json")), 0);
  EXPECT_FALSE(std::filesystem::exists(run_.file("new.json")));
}

TEST_F(MeasureCommandTest, AnImplausibleModelIsWarnedAboutInEveryForm) {
  // Logits of this size give losses far above chance.
  auto weights = run_.weights();
  weights.at("lm_head.weight") = weights.at("lm_head.weight").mul(100);
  run_.WriteAgain(weights);
  for (const char* format : {"json", "csv", "table"}) {
    EXPECT_EQ(Measure(std::string("--format=") + format), 0) << error_;
    EXPECT_NE(error_.find("IMPLAUSIBLE: "), std::string::npos) << format << "\n"
                                                               << error_;
  }
}

TEST_F(MeasureCommandTest, RunAndStageCanBeNamed) {
  EXPECT_EQ(Measure("--metrics=probe_loss --run=olmo --stage=s1"), 0) << error_;
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["checkpoint"]["run"], "olmo");
  EXPECT_EQ(json["checkpoint"]["stage"], "s1");
}

}  // namespace
}  // namespace sinkwatch::worker

// Runs the worker's binary as a person would.
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/commands/command_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::worker {
namespace {

using files::WriteFile;

class ProbeCommandTest : public CommandFixture {
 protected:
  // 20 ids of a vocabulary that the tiny model has, and a list that names them.
  void WriteTokens() {
    WriteFile(run_.file("text.npy"), std::string(20, '\3'));
    WriteFile(run_.file("list.txt"), "text,{TOKENIZER}.npy\n");
  }

  int Pin(const std::string& more = "") {
    return Run("probe --from_list=" + run_.file("list.txt") +
               " --tokenizer=text --vocab_size=8 --sequence_length=5 " +
               "--output=" + run_.file("pinned") + "/ " + more);
  }
};

TEST_F(ProbeCommandTest, WhatIsPinnedCanBeMeasured) {
  WriteTokens();
  ASSERT_EQ(Pin(), 0) << error_;
  EXPECT_EQ(out_, "");
  EXPECT_NE(error_.find("pinned 20 tokens (uint8, bos_policy none)"),
            std::string::npos)
      << error_;
  ASSERT_EQ(Run("measure --device=cpu --metrics=probe_loss --checkpoint=" +
                run_.checkpoint() + " --probe=" + run_.file("pinned")),
            0)
      << error_;
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["probe"]["name"], "pinned");
  EXPECT_EQ(json["measurements"][0]["domain"], "text");
}

TEST_F(ProbeCommandTest, HelpTellsOfCommandsAndFlags) {
  for (const char* words : {"--help", "help", "-h"}) {
    EXPECT_EQ(Run(words), 0) << error_;
    for (const char* command : {"measure", "run", "probe"}) {
      EXPECT_NE(out_.find(command), std::string::npos) << out_;
    }
  }
  EXPECT_EQ(Run("probe --help"), 0) << error_;
  EXPECT_NE(out_.find("sinkwatch_worker probe --from_list"), std::string::npos)
      << out_;
  EXPECT_NE(out_.find("--max_tokens_per_domain"), std::string::npos) << out_;
  for (const char* words : {"--version", "version"}) {
    EXPECT_EQ(Run(words), 0);
    EXPECT_EQ(out_.rfind("sinkwatch_worker ", 0), 0u) << out_;
  }
}

TEST_F(ProbeCommandTest, BadUsageIsTwo) {
  EXPECT_EQ(Run("probe"), 2);
  EXPECT_NE(error_.find("--from_list is missing"), std::string::npos) << error_;
  EXPECT_EQ(Run("probe --from_list=x --tokenizer=t --output=o"), 2);
  EXPECT_NE(error_.find("--vocab_size"), std::string::npos) << error_;
  EXPECT_EQ(Pin(), 2);
  EXPECT_NE(error_.find("list.txt"), std::string::npos) << error_;
  WriteTokens();
  EXPECT_EQ(Pin("--dtype=float32"), 2);
  EXPECT_NE(error_.find("'float32'"), std::string::npos) << error_;
  EXPECT_EQ(Pin("--bos_policy=eos"), 2);
  EXPECT_NE(error_.find("'eos_id'"), std::string::npos) << error_;
  EXPECT_EQ(Pin(), 0);
  EXPECT_EQ(Pin(), 2);
  EXPECT_NE(error_.find("pinned"), std::string::npos) << error_;
}

}  // namespace
}  // namespace sinkwatch::worker

#include "server/run_flags.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::server {
namespace {

std::vector<std::string> Join(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return JoinRunFlags(static_cast<int>(argv.size()), argv.data());
}

TEST(RunFlagsTest, EveryRunOfTheCommandLineIsKept) {
  EXPECT_EQ(Join({"server", "--run=a=/a,probe=/p", "--data_dir=/d",
                  "--run=b=/b,probe=/p"}),
            (std::vector<std::string>{"server", "--data_dir=/d",
                                      "--run=a=/a,probe=/p;b=/b,probe=/p"}));
  EXPECT_EQ(Join({"server"}), std::vector<std::string>{"server"});
}

TEST(RunFlagsTest, WhatIsPrintedIsReadBack) {
  const std::string text = "a=/a,probe=/p;b=/b,probe=/p,stage=s,dtype=bfloat16";
  RunFlags flags;
  std::string error;
  ASSERT_TRUE(AbslParseFlag(text, &flags, &error)) << error;
  ASSERT_EQ(flags.runs.size(), 2u);
  EXPECT_EQ(flags.runs[1].stage(), "s");
  EXPECT_EQ(AbslUnparseFlag(flags), text);
}

TEST(RunFlagsTest, AMistakeIsNamed) {
  RunFlags flags;
  std::string error;
  EXPECT_FALSE(AbslParseFlag("a=/a,prob=/p", &flags, &error));
  EXPECT_NE(error.find("\"prob\""), std::string::npos) << error;
}

}  // namespace
}  // namespace sinkwatch::server

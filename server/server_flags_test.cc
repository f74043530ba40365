#include "server/server_flags.h"

#include <fstream>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "proto/base/command_help.h"

namespace sinkwatch::server {
namespace {

absl::StatusOr<v1::ServerConfig> Config(const std::vector<std::string>& words) {
  const auto arguments = base::Arguments::Parse(ServerProgram(), words);
  if (!arguments.ok()) return arguments.status();
  return ConfigFromFlags(*arguments);
}

TEST(ConfigFromFlags, EveryRunOfTheCommandLineIsKept) {
  const auto config = Config({"--run=a=/a,probe=/p", "--data_dir=/d",
                              "--run=b=/b,probe=/p,stage=s,dtype=bfloat16"});
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->runs_size(), 2);
  EXPECT_EQ(config->runs(0).name(), "a");
  EXPECT_EQ(config->runs(1).root(), "/b");
  EXPECT_EQ(config->runs(1).stage(), "s");
  EXPECT_EQ(config->data_dir(), "/d");
}

TEST(ConfigFromFlags, FlagsAreBeforeTheFile) {
  const std::string path = testing::TempDir() + "/server.textproto";
  std::ofstream(path) << "grpc_address: \"127.0.0.1:1\"\n"
                         "http_address: \"127.0.0.1:2\"\n"
                         "runs { name: \"a\" root: \"/a\" probe: \"/p\" }\n";
  const auto config = Config(
      {"--config", path, "--grpc_address=127.0.0.1:3", "--run=b=/b,probe=/p"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->grpc_address(), "127.0.0.1:3");
  EXPECT_EQ(config->http_address(), "127.0.0.1:2");
  EXPECT_EQ(config->runs_size(), 2);
}

TEST(ConfigFromFlags, AMistakeIsNamed) {
  const absl::Status status = Config({"--run=a=/a,prob=/p"}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "\"prob\"")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "did you mean probe?"))
      << status;
}

TEST(ServerProgram, EveryFlagOfAValueHasADefaultAndAnExample) {
  for (const base::FlagSpec& flag : ServerProgram().commands[0].flags) {
    EXPECT_FALSE(flag.help.empty()) << flag.name;
    if (flag.value.empty()) continue;
    EXPECT_FALSE(flag.example.empty()) << flag.name;
    EXPECT_TRUE(flag.repeated || !flag.fallback.empty() ||
                absl::StrContains(flag.help, "default"))
        << flag.name;
  }
}

}  // namespace
}  // namespace sinkwatch::server

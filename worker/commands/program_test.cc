#include "worker/commands/program.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

TEST(WorkerProgram, EveryFlagOfAValueHasADefaultAndAnExample) {
  for (const base::CommandSpec& command : WorkerProgram().commands) {
    EXPECT_FALSE(command.examples.empty()) << command.name;
    for (const base::FlagSpec& flag : command.flags) {
      EXPECT_FALSE(flag.help.empty()) << flag.name;
      if (flag.value.empty()) continue;
      EXPECT_FALSE(flag.example.empty()) << flag.name;
      EXPECT_TRUE(flag.needed || !flag.fallback.empty() ||
                  absl::StrContains(flag.help, "default"))
          << flag.name;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::worker

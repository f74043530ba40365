#include "server/ctl/program.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "proto/base/command_help.h"
#include "server/ctl/completion.h"

namespace sinkwatch::ctl {
namespace {

void ExpectWhole(const std::string& command, const base::FlagSpec& flag) {
  EXPECT_FALSE(flag.help.empty()) << command << " --" << flag.name;
  if (flag.value.empty()) return;
  EXPECT_FALSE(flag.example.empty()) << command << " --" << flag.name;
  EXPECT_TRUE(flag.needed || !flag.fallback.empty() ||
              absl::StrContains(flag.help, "default"))
      << command << " --" << flag.name;
}

TEST(SinkctlProgram, EveryFlagHasHelpADefaultAndAnExample) {
  for (const base::CommandSpec& command : SinkctlProgram().commands) {
    for (const base::FlagSpec& flag : command.flags) {
      ExpectWhole(command.name, flag);
    }
  }
  for (const base::FlagSpec& flag : SinkctlProgram().flags) {
    ExpectWhole("every command", flag);
  }
}

TEST(SinkctlProgram, EveryExampleIsALineThatIsTaken) {
  for (const base::CommandSpec& command : SinkctlProgram().commands) {
    EXPECT_FALSE(command.examples.empty()) << command.name;
    for (const std::string& example : command.examples) {
      const std::string line = example.substr(0, example.find(" > "));
      const auto arguments =
          base::Arguments::Parse(SinkctlProgram(), absl::StrSplit(line, ' '));
      EXPECT_TRUE(arguments.ok()) << example << ": " << arguments.status();
    }
  }
}

TEST(SinkctlProgram, HelpFitsATerminal) {
  for (const base::CommandSpec& command : SinkctlProgram().commands) {
    const std::string text = base::CommandHelp(SinkctlProgram(), command);
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      if (absl::StrContains(line, "  sinkctl "))
        continue;  // to be copied whole
      EXPECT_LE(line.size(), 80u) << line;
    }
  }
}

TEST(Completion, HasEveryCommandInEveryShell) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = Completion(SinkctlProgram(), shell);
    for (const base::CommandSpec& command : SinkctlProgram().commands) {
      EXPECT_TRUE(absl::StrContains(script, command.name))
          << shell << " " << command.name;
    }
    EXPECT_TRUE(absl::StrContains(script, "include-vanished")) << shell;
  }
}

}  // namespace
}  // namespace sinkwatch::ctl

#include "proto/base/command_line.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "proto/base/command_help.h"

namespace sinkwatch::base {
namespace {

using Words = std::vector<std::string>;

const ProgramSpec& Program() {
  static const auto* const kProgram = new ProgramSpec{
      "sinkctl",
      "looks at a server",
      {{"series",
        {"RUN", "METRIC"},
        "a series",
        {{"chart", "", "draw it"},
         FlagSpec{"layer", "LIST", "layers"}.Of(ValueKind::kWhole),
         FlagSpec{"wait_for", "TIME", "how long"}
             .Of(ValueKind::kDuration)
             .Default("30s")},
        {"series r m --chart"}},
       {"watch", {"[RUN]"}, "events", {}, {"watch"}},
       {"compare", {"RUN..."}, "some runs", {}, {"compare a b"}},
       {"probe",
        {},
        "makes a probe",
        {FlagSpec{"size", "N", "ids"}.Of(ValueKind::kPositive).Needed()},
        {"probe --size=8"}}},
      {FlagSpec{"server", "HOST:PORT", "where"}.Default("here:1"),
       [] {
         FlagSpec format = {"format", "FORM", "how"};
         format.letter = 'o';
         return format.Default("table").OneOf({"table", "json", "csv"});
       }()},
      ""};
  return *kProgram;
}

const ProgramSpec& Server() {
  static const auto* const kProgram = [] {
    FlagSpec run = {"run", "RUN", "a run"};
    run.repeated = true;
    return new ProgramSpec{
        "server",
        "serves",
        {{"", {}, "", {run, {"check_config", "", "checks"}}, {"--run=a"}}},
        {},
        ""};
  }();
  return *kProgram;
}

absl::StatusOr<Arguments> Parse(const Words& words) {
  return Arguments::Parse(Program(), words);
}

TEST(Arguments, OperandsAreFlagsByAnotherName) {
  for (const Words& words :
       {Words{"series", "r", "m"}, Words{"series", "--run=r", "--metric=m"},
        Words{"series", "r", "--metric", "m"},
        Words{"--server=x:1", "series", "r", "m"},
        Words{"--server", "x:1", "series", "r", "m"},
        Words{"series", "--", "r", "m"}}) {
    const auto arguments = Parse(words);
    ASSERT_TRUE(arguments.ok()) << arguments.status();
    EXPECT_EQ(arguments->command(), "series");
    EXPECT_EQ(arguments->Get("run"), "r");
    EXPECT_EQ(arguments->Get("metric"), "m");
  }
}

TEST(Arguments, SwitchesTakeNoWord) {
  const auto arguments = Parse({"series", "--chart", "r", "m"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_TRUE(arguments->Has("chart"));
  EXPECT_EQ(arguments->Get("run"), "r");
  for (const char* off : {"--nochart", "--chart=false", "--chart=0"}) {
    const auto without = Parse({"series", "r", "m", "--chart", off});
    ASSERT_TRUE(without.ok()) << without.status();
    EXPECT_FALSE(without->Has("chart")) << off;
  }
}

TEST(Arguments, TheLastOperandMayBeMany) {
  const auto arguments = Parse({"compare", "a", "b", "-o", "csv", "c"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(arguments->All("run"), (Words{"a", "b", "c"}));
  EXPECT_EQ(arguments->Get("format"), "csv");
  EXPECT_EQ(Parse({"compare", "--run=a", "--run=b"})->All("run"),
            (Words{"a", "b"}));
  EXPECT_FALSE(Parse({"compare"}).ok());
}

TEST(Arguments, ValuesMayBeNegative) {
  const auto arguments = Parse({"series", "r", "m", "--layer", "-1"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(arguments->Int("layer"), -1);
}

TEST(Arguments, DashesAndUnderscoresAreTheSameAndOneDashWillDo) {
  for (const char* flag : {"--wait-for=5s", "--wait_for=5s", "-wait_for=5s"}) {
    const auto arguments = Parse({"series", "r", "m", flag});
    ASSERT_TRUE(arguments.ok()) << arguments.status();
    EXPECT_EQ(arguments->Duration("wait-for"), absl::Seconds(5));
  }
}

TEST(Arguments, ALetterStandsForItsFlag) {
  for (const Words& words :
       {Words{"watch", "-o", "json"}, Words{"watch", "-ojson"},
        Words{"watch", "-o=json"}, Words{"-o", "json", "watch"}}) {
    const auto arguments = Parse(words);
    ASSERT_TRUE(arguments.ok()) << arguments.status();
    EXPECT_EQ(arguments->Get("format"), "json");
  }
}

TEST(Arguments, WhatIsNotGivenHasItsDefault) {
  const auto arguments = Parse({"series", "r", "m"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(arguments->Get("server"), "here:1");
  EXPECT_EQ(arguments->Duration("wait_for"), absl::Seconds(30));
  EXPECT_FALSE(arguments->Has("server"));
  EXPECT_EQ(arguments->Get("layer"), "");
}

TEST(Arguments, AVariableComesBeforeTheDefault) {
  ProgramSpec program = Program();
  program.flags[0].variable = "SINKWATCH_TEST_SERVER";
  ::setenv("SINKWATCH_TEST_SERVER", "there:2", 1);
  EXPECT_EQ(Arguments::Parse(program, {"watch"})->Get("server"), "there:2");
  EXPECT_EQ(Arguments::Parse(program, {"watch", "--server=x:3"})->Get("server"),
            "x:3");
  ::unsetenv("SINKWATCH_TEST_SERVER");
  EXPECT_EQ(Arguments::Parse(program, {"watch"})->Get("server"), "here:1");
}

TEST(Arguments, MistakesSayWhatAndWhereToLook) {
  const std::pair<Words, std::string> cases[] = {
      {{"serie"}, "there is no command \"serie\"; did you mean series?"},
      {{"dance"}, "there is no command \"dance\" (see"},
      {{"--server=x:1"}, "no command; there are series, watch, compare, probe"},
      {{"series", "r", "m", "x"}, "\"x\" is one word too many"},
      {{"series", "--chrt"}, "there is no flag --chrt; did you mean --chart?"},
      {{"series", "--metrc=m"}, "did you mean --metric?"},
      {{"series", "-z"}, "there is no flag --z"},
      {{"series", "--helf"}, "there is no flag --helf; did you mean --help?"},
      {{"series", "--layer"}, "--layer needs a value"},
      {{"series", "--layer=x"}, "--layer=x is not a whole number"},
      {{"series", "--wait_for=x"}, "--wait_for=x is not a duration"},
      {{"series", "--chart=3"}, "--chart takes no value"},
      {{"series", "r"}, "--metric is missing"},
      {{"series", "r", ""}, "--metric is missing"},
      {{"probe"}, "--size is missing"},
      {{"probe", "--size=0"}, "--size=0 is not a whole number above 0"},
      {{"watch", "--format=jsn"},
       "--format=jsn is none of table, json, csv; did you mean json?"}};
  for (const auto& [words, message] : cases) {
    const absl::Status status = Parse(words).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), message)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "sinkctl help")) << status;
  }
}

TEST(Arguments, HelpIsAskedForInManyWays) {
  for (const Words& words :
       {Words{"help", "series"}, Words{"series", "--help"},
        Words{"--help", "series"}, Words{"series", "-h"}}) {
    const auto arguments = Parse(words);
    ASSERT_TRUE(arguments.ok()) << arguments.status();
    EXPECT_EQ(arguments->command(), "help");
    EXPECT_EQ(arguments->Get("command"), "series");
  }
  EXPECT_EQ(Parse({})->command(), "help");
  EXPECT_EQ(Parse({"version"})->command(), "version");
  EXPECT_EQ(Parse({"--version"})->command(), "version");
}

TEST(Arguments, AProgramNeedsNoCommands) {
  const auto arguments = Arguments::Parse(
      Server(), {"--run=a=/a,probe=/p", "--check_config", "--run=b=/b"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(arguments->All("run"), (Words{"a=/a,probe=/p", "b=/b"}));
  EXPECT_TRUE(arguments->Has("check_config"));
  EXPECT_EQ(Arguments::Parse(Server(), {})->command(), "");
  EXPECT_EQ(Arguments::Parse(Server(), {"--help"})->command(), "help");
  const absl::Status extra = Arguments::Parse(Server(), {"now"}).status();
  EXPECT_TRUE(absl::StrContains(extra.message(), "\"now\"")) << extra;
  EXPECT_TRUE(absl::StrContains(extra.message(), "`server --help`")) << extra;
}

TEST(Help, HasEveryFlagWithItsDefault) {
  const std::string text = CommandHelp(Program(), Program().commands[0]);
  for (const char* part :
       {"usage: sinkctl series RUN METRIC [FLAGS]", "--chart", "default 30s",
        "-o, --format=FORM", "how: table, json, csv; default table",
        "  sinkctl series r m --chart"}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << part << "\n" << text;
  }
  const std::string all = ProgramHelp(Program());
  EXPECT_TRUE(absl::StrContains(all, "makes a probe")) << all;
  EXPECT_TRUE(absl::StrContains(ProgramHelp(Server()), "--run=RUN"));
}

TEST(AnswerWithoutWork, IsTheExitCodeOfWhatIsNotToBeCarriedOut) {
  EXPECT_EQ(AnswerWithoutWork(Program(), Parse({"watch"})), std::nullopt);
  EXPECT_EQ(AnswerWithoutWork(Program(), Parse({"help"})), 0);
  EXPECT_EQ(AnswerWithoutWork(Program(), Parse({"--version"})), 0);
  EXPECT_EQ(AnswerWithoutWork(Program(), Parse({"help", "serie"})), 2);
  EXPECT_EQ(AnswerWithoutWork(Program(), Parse({"serie"})), 2);
}

TEST(Help, OfAnUnknownCommandNamesTheNearest) {
  const auto text = HelpText(Program(), *Parse({"help", "serie"}));
  EXPECT_TRUE(absl::IsInvalidArgument(text.status())) << text.status();
  EXPECT_TRUE(
      absl::StrContains(text.status().message(), "did you mean series?"));
}

}  // namespace
}  // namespace sinkwatch::base

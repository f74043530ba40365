#include "server/ctl/arguments.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::ctl {
namespace {

using Words = std::vector<std::string>;

absl::StatusOr<Arguments> Parse(const Words& words) {
  const std::vector<CommandSpec> commands = {
      {"series",
       {"RUN", "METRIC"},
       "a series",
       {{"chart", "", "draw it"}, {"layer", "LIST", "layers"}},
       {"series r m --chart"}}};
  return Arguments::Parse(words, commands, {{"server", "HOST:PORT", "where"}});
}

TEST(Arguments, OperandsAreFlagsByAnotherName) {
  for (const Words& words :
       {Words{"series", "r", "m"}, Words{"series", "--run=r", "--metric=m"},
        Words{"series", "r", "--metric", "m"},
        Words{"--server=x:1", "series", "r", "m"}}) {
    const auto arguments = Parse(words);
    ASSERT_TRUE(arguments.ok()) << arguments.status();
    EXPECT_EQ(arguments->command(), "series");
    EXPECT_EQ(arguments->Get("run", ""), "r");
    EXPECT_EQ(arguments->Get("metric", ""), "m");
  }
}

TEST(Arguments, SwitchesTakeNoWord) {
  const auto arguments = Parse({"series", "--chart", "r", "m"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_TRUE(arguments->Has("chart"));
  EXPECT_EQ(arguments->Get("run", ""), "r");
}

TEST(Arguments, ValuesMayBeNegative) {
  const auto arguments = Parse({"series", "r", "--layer", "-1"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_EQ(*arguments->Int("layer", 0), -1);
}

TEST(Arguments, MistakesSayWhatAndWhereToLook) {
  const std::pair<Words, std::string> cases[] = {
      {{"serie"}, "there is no command \"serie\""},
      {{"series", "r", "m", "x"}, "\"x\" is one word too many"},
      {{"series", "--chrt"}, "there is no flag --chrt"},
      {{"series", "--layer"}, "--layer needs a value"},
      {{"series", "--chart=3"}, "--chart takes no value"}};
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
    EXPECT_EQ(arguments->Get("command", ""), "series");
  }
  EXPECT_EQ(Parse({})->command(), "help");
}

TEST(Arguments, NumbersAreChecked) {
  const auto arguments = Parse({"series", "r", "--layer=x"});
  EXPECT_TRUE(absl::IsInvalidArgument(arguments->Int("layer", 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(arguments->Number("layer", 0).status()));
  EXPECT_EQ(*arguments->Int("absent", 7), 7);
  EXPECT_TRUE(absl::IsInvalidArgument(arguments->Required("absent").status()));
}

}  // namespace
}  // namespace sinkwatch::ctl

#include "server/name_pattern.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::server {
namespace {

using Groups = std::map<std::string, std::string>;

std::string ErrorOf(const std::string& step, const std::string& runs = "") {
  v1::RunConfig run;
  run.set_step_pattern(step);
  if (!runs.empty()) run.mutable_runs_below()->set_pattern(runs);
  return std::string(CheckPatterns(run).message());
}

TEST(NamePatternTest, GivesTheGroupsOfAWholeName) {
  const auto pattern =
      NamePattern::Compile("(?P<seed>[a-z]+)_it(?P<step>\\d+)");
  ASSERT_TRUE(pattern.ok()) << pattern.status();
  EXPECT_EQ(pattern->Match("red_it500"),
            (Groups{{"seed", "red"}, {"step", "500"}}));
  EXPECT_EQ(pattern->Match("red_it500-tmp"), std::nullopt);
  EXPECT_EQ(pattern->Match("x/red_it500"), std::nullopt);
  EXPECT_EQ(pattern->Match("caf\xe9_it500"), std::nullopt);
}

TEST(NamePatternTest, LeavesOutGroupsThatTookNoPart) {
  const auto pattern = NamePattern::Compile("(?P<a>x)?(?P<b>y)");
  EXPECT_EQ(pattern->Match("y"), (Groups{{"b", "y"}}));
}

TEST(NamePatternTest, RefusesWhatIsNoPattern) {
  EXPECT_EQ(ErrorOf("(?P<step>\\d+)"), "");
  EXPECT_EQ(ErrorOf("", "[^/]+"), "");
  EXPECT_TRUE(absl::StartsWith(ErrorOf("(?P<step>\\d+"), "step_pattern: "));
  EXPECT_TRUE(absl::StrContains(ErrorOf("(?P<setp>\\d+)"), "\"setp\" is none"));
  EXPECT_TRUE(absl::StrContains(ErrorOf("a(\\d+)"), "no group step"));
  EXPECT_TRUE(absl::StrContains(ErrorOf("", "(run"), "runs_below.pattern: "));
  EXPECT_FALSE(NamePattern::Compile(std::string(2000, 'a')).ok());
  // Would take more memory than it may.
  EXPECT_FALSE(NamePattern::Compile("((a{100}){100}){100}").ok());
  // No backtracking: this ends.
  EXPECT_EQ(NamePattern::Compile("(a*)*b")->Match(std::string(200, 'a')),
            std::nullopt);
}

TEST(NamePatternTest, HasNoRunsBelowAManifest) {
  v1::RunConfig run;
  run.mutable_runs_below()->set_pattern(".*");
  run.set_manifest("list.csv");
  EXPECT_TRUE(absl::StrContains(CheckPatterns(run).message(), "manifest"));
}

}  // namespace
}  // namespace sinkwatch::server

#include "server/http/params.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/answers/parse.h"

namespace sinkwatch::http {
namespace {

using Ints = std::vector<int32_t>;

Params Parsed(const std::string& query) {
  auto params = Params::Parse(query, {"a", "b"});
  EXPECT_TRUE(params.ok()) << params.status();
  return *std::move(params);
}

TEST(Params, EscapesAreDecoded) {
  Params params = Parsed("a=x%2Fy+z%C3%A9&b=");
  EXPECT_EQ(params.Text("a", ""), "x/y z\xC3\xA9");
  EXPECT_TRUE(params.Has("b"));
  EXPECT_EQ(params.Text("b", "other"), "");
}

TEST(Params, QueryErrorsNameTheirRule) {
  const std::pair<const char*, const char*> cases[] = {
      {"a=%", "encoding"},
      {"a=%2", "encoding"},
      {"a=%zz", "encoding"},
      {"a=1&a=2", "repeated_parameter"},
      {"layers=1", "unknown_parameter"}};
  for (const auto& [query, rule] : cases) {
    EXPECT_EQ(answers::RuleOf(Params::Parse(query, {"a"}).status()), rule)
        << query;
  }
}

TEST(Params, UnknownParameterListsTheKnown) {
  const auto status = Params::Parse("c=1", {"a", "b"}).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "a, b")) << status;
}

TEST(Params, FirstErrorIsKept) {
  Params params = Parsed("a=x&b=y");
  EXPECT_EQ(params.Int("a", 5, 0, 10), 5);
  params.Bool("b");
  EXPECT_EQ(answers::RuleOf(params.status()), "not_a_number");
}

TEST(Params, IntegersHaveBounds) {
  Params params = Parsed("a=11");
  params.Int("a", 5, 0, 10);
  EXPECT_EQ(answers::RuleOf(params.status()), "out_of_range");
  EXPECT_EQ(Parsed("").Int("a", 5, 0, 10), 5);
}

TEST(Params, ListsTakeRangesAndTheEmbeddingLayer) {
  EXPECT_EQ(Parsed("a=0,2,5-7").Ints("a"), (Ints{0, 2, 5, 6, 7}));
  EXPECT_EQ(Parsed("a=-1").Ints("a"), (Ints{-1}));
  EXPECT_EQ(Parsed("a=-1-1").Ints("a"), (Ints{-1, 0, 1}));
  EXPECT_EQ(Parsed("a=*").Ints("a"), Ints());
  EXPECT_EQ(Parsed("").Ints("a"), Ints());
}

TEST(Params, BrokenListsAreErrors) {
  for (const char* text : {",", "1,", "x", "3-1", "1-", "0-2000000000", "1.5",
                           "-2147483648-2147483647"}) {
    Params params = Parsed(std::string("a=") + text);
    EXPECT_EQ(params.Ints("a"), Ints()) << text;
    EXPECT_EQ(answers::RuleOf(params.status()), "not_a_list") << text;
  }
}

TEST(Params, NumbersAreFinite) {
  EXPECT_EQ(Parsed("a=0.5").Number("a", 0), 0.5);
  for (const char* text : {"nan", "inf", "x"}) {
    Params params = Parsed(std::string("a=") + text);
    params.Number("a", 0);
    EXPECT_EQ(answers::RuleOf(params.status()), "not_a_number") << text;
  }
}

TEST(Params, ChoicesAreClosed) {
  Params params = Parsed("a=median");
  EXPECT_EQ(params.Choice("a", {"mean", "median"}), "median");
  EXPECT_EQ(params.Choice("b", {"mean", "median"}), "mean");
  EXPECT_EQ(params.Choice("a", {"mean"}), "mean");
  EXPECT_EQ(answers::RuleOf(params.status()), "unknown_value");
}

TEST(Params, MissingParameterIsNamed) {
  Params params = Parsed("");
  params.Required("a");
  EXPECT_EQ(answers::RuleOf(params.status()), "missing_parameter");
  EXPECT_TRUE(absl::StrContains(params.status().message(), "\"a\""));
}

TEST(Params, EscapedParametersComeBack) {
  const std::string value = "12:3:st\xC3\xA4ge/a&b=c d%+";
  EXPECT_EQ(EscapeParameter("a-b_c.d~9"), "a-b_c.d~9");
  const auto params = Params::Parse("t=" + EscapeParameter(value), {"t"});
  ASSERT_TRUE(params.ok()) << params.status();
  EXPECT_EQ(params->Text("t", ""), value);
}

}  // namespace
}  // namespace sinkwatch::http

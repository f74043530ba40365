#include "worker/files/strict_json.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::files {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::Status Parse(absl::string_view text, const JsonLimits& limits = {}) {
  return ParseJsonObject(text, limits).status();
}

TEST(StrictJsonTest, AnObjectIsParsed) {
  auto json = ParseJsonObject(R"( {"a": [1, {"b": null}], "c": "d"} )");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)["a"][0], 1);
  EXPECT_EQ((*json)["c"], "d");
}

TEST(StrictJsonTest, TheSameKeyInTwoObjectsIsFine) {
  EXPECT_TRUE(Parse(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})").ok());
}

TEST(StrictJsonTest, AKeyTwiceInOneObjectIsRefused) {
  ExpectError(Parse(R"({"a": 1, "b": 2, "a": 3})"), kInvalid, {"'a'", "twice"});
  ExpectError(Parse(R"({"x": [{"a": {"b": 1, "b": 1}}]})"), kInvalid,
              {"'b'", "twice"});
}

TEST(StrictJsonTest, ATextThatEndsEarlyIsToldFromAWrongOne) {
  for (const char* text :
       {"", "  ", "{", "{\"a", "{\"a\": tr", "{\"a\": 1,", "{\"a\": [1"}) {
    ExpectError(Parse(text), absl::StatusCode::kOutOfRange, {});
  }
  for (const char* text : {"{]", "{\"a\": 1 2}", "{} x", "[", "x", "{\"a\" 1}",
                           "{\"a\": nul}", "{'a': 1}", "{\"a\": NaN}"}) {
    ExpectError(Parse(text), kInvalid, {});
  }
}

TEST(StrictJsonTest, WhatTheLibraryWouldLetPassIsRefused) {
  ExpectError(Parse("\xef\xbb\xbf{}"), kInvalid, {"byte 0"});
  ExpectError(Parse(absl::string_view("{}\0x", 4)), kInvalid,
              {"NUL at byte 2"});
}

TEST(StrictJsonTest, LimitsAreInclusive) {
  JsonLimits limits;
  limits.depth = 3;
  EXPECT_TRUE(Parse(R"({"a": [[1]]})", limits).ok());
  ExpectError(Parse(R"({"a": [[[1]]]})", limits),
              absl::StatusCode::kResourceExhausted, {"deeper than 3"});
  limits.values = 3;  // the object, the array, one number
  EXPECT_TRUE(Parse(R"({"a": [1]})", limits).ok());
  ExpectError(Parse(R"({"a": [1, 2]})", limits),
              absl::StatusCode::kResourceExhausted, {"more than 3 values"});
}

TEST(StrictJsonTest, AMillionBracketsNeitherRecurseNorPass) {
  ExpectError(Parse("{\"a\":" + std::string(1000000, '[')),
              absl::StatusCode::kResourceExhausted, {"deeper than 32"});
}

TEST(StrictJsonTest, NumbersOfPythonAreReadWhereTheyAreAskedFor) {
  JsonLimits limits;
  limits.python_numbers = true;
  const auto json = ParseJsonObject(
      R"({"a": [0.0, Infinity], "b": -Infinity, "NaN": {"c": NaN},
          "d": "NaN, \"Infinity\"", "e": null})",
      limits);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)["a"][1].get<double>(), INFINITY);
  EXPECT_EQ((*json)["b"].get<double>(), -INFINITY);
  EXPECT_TRUE(std::isnan((*json)["NaN"]["c"].get<double>()));
  EXPECT_EQ((*json)["d"], "NaN, \"Infinity\"");
  for (const char* text :
       {"{\"a\": Nan}", "{\"a\": NaNs}", "{\"a\": infinity}", "{NaN: 1}",
        "{\"a\": +Infinity}", "{\"a\": - Infinity}"}) {
    EXPECT_FALSE(ParseJsonObject(text, limits).ok()) << text;
  }
  // Messages name the byte of the text as it was.
  ExpectError(Parse("{\"a\": NaN, \"b\": -Infinity x}", limits), kInvalid,
              {"at byte 27"});
  for (const char* cut : {"{\"a\": N", "{\"a\": -Infin"}) {
    ExpectError(Parse(cut, limits), absl::StatusCode::kOutOfRange, {});
  }
}

TEST(StrictJsonTest, QuotedTextIsEscapedAndShort) {
  EXPECT_EQ(Quoted("a\n'b'"), "'a\\n\\'b\\''");
  EXPECT_EQ(Quoted(std::string(1000, 'x')),
            "'" + std::string(80, 'x') + "...'");
}

}  // namespace
}  // namespace sinkwatch::files

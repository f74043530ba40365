#include "worker/checkpoint/config/strict_yaml.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kEarly = absl::StatusCode::kOutOfRange;
constexpr auto kLimit = absl::StatusCode::kResourceExhausted;

Json Parsed(const std::string& text) {
  absl::StatusOr<YamlDocument> yaml = ParseYamlObject(text);
  EXPECT_TRUE(yaml.ok()) << text << ": " << yaml.status();
  return yaml.ok() ? yaml->root : Json();
}

absl::Status ErrorOf(const std::string& text, const YamlLimits& limits = {}) {
  return ParseYamlObject(text, limits).status();
}

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(StrictYamlTest, ScalarsHaveTheTypesOfTheTrainersReader) {
  const std::pair<const char*, Json> cases[] = {
      {"12", 12},
      {"-3", -3},
      {"+3", 3},
      {"0", 0},
      {"1.5", 1.5},
      {"1.", 1.0},
      {".5", 0.5},
      {"1.0e-05", 1.0e-05},
      {"1e-6", 1e-6},  // no dot: a float all the same
      {"5e12", 5e12},
      {"-1E3", -1e3},
      {"9223372036854775807", INT64_MAX},
      {"9223372036854775808", "9223372036854775808"},
      {"true", true},
      {"True", true},
      {"FALSE", false},
      {"off", false},
      {"null", nullptr},
      {"~", nullptr},
      {"", nullptr},
      {"'12'", "12"},
      {"\"true\"", "true"},
      {"tRUE", "tRUE"},
      {"swiglu", "swiglu"},
      {"${run_name}", "${run_name}"},
      // Numbers in notations that a dump does not have stay text.
      {"0x10", "0x10"},
      {"010", "010"},
      {"1_000", "1_000"},
      {"1:30", "1:30"},
      {".inf", ".inf"},
      {".nan", ".nan"},
      {"1e", "1e"},
      {".", "."},
      {"e5", "e5"},
  };
  for (const auto& [text, value] : cases) {
    const Json found = Parsed(std::string("k: ") + text + "\n")["k"];
    EXPECT_EQ(found, value) << text;
    EXPECT_EQ(found.type(), value.type()) << text;
  }
}

TEST(StrictYamlTest, MapsAndListsNest) {
  EXPECT_EQ(Parsed("a:\n  b: [1, {c: 2}]\n  d:\n  - 1\n  - - 2\n    - x\n"
                   "e: {}\n# comment\nf: []\n"),
            Json::parse(R"({"a": {"b": [1, {"c": 2}], "d": [1, [2, "x"]]},
                            "e": {}, "f": []})"));
  EXPECT_EQ(Parsed("---\na: 1\n...\n"), Json::parse(R"({"a": 1})"));
  EXPECT_EQ(ParseYamlObject("a: 1\nb:\n  z: 2\n")->last_key, "b");
}

TEST(StrictYamlTest, WhatIsNoConfigIsRefusedWithItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: &x 1\n", "anchor"},
      {"a: &x {b: 1}\n", "anchor"},
      {"a: 1\nb: *a\n", "line 2"},
      {"a: !!int 1\n", "tag"},
      {"a: !!python/object:os.system [x]\n", "tag"},
      {"a: !!map {b: 1}\n", "tag"},
      {"a: 1\na: 2\n", "line 2: key 'a' a second time"},
      {"m:\n  a: 1\n  'a': 2\n", "line 3: key 'a' a second time"},
      {"<<: {a: 1}\n", "merge key"},
      {"? [1, 2]\n: 3\n", "no scalar"},
      {"? {a: 1}\n: 3\n", "no scalar"},
      {"~: 3\n", "null"},
      {"a: 1\n---\na: 2\n", "second document"},
      {"- 1\n", "no map"},
      {"just text\n", "no map"},
      {"\n", "no map"},
      {"\xef\xbb\xbf"
       "a: 1\n",
       "byte order mark"},
      {"a: 1\n b: 2\n", "line 2"},
      {"a: ]\n", "line 1"},
  };
  for (const auto& [text, word] : cases) {
    const absl::Status error = ErrorOf(text);
    EXPECT_FALSE(error.ok()) << text;
    EXPECT_NE(error.message().find(word), std::string::npos)
        << text << ": " << error;
    EXPECT_NE(error.code(), kLimit) << text << ": " << error;
  }
  files::ExpectError(ErrorOf(std::string("a: 1\0\n", 6)), kInvalid, {"NUL"});
}

TEST(StrictYamlTest, ATextThatEndsTooEarlyIsToldFromAWrongOne) {
  EXPECT_EQ(ErrorOf("").code(), kEarly);
  EXPECT_EQ(ErrorOf("run_na").code(), kEarly);
  EXPECT_EQ(ErrorOf("ab: 1\nab").code(), kEarly);  // "abc: 2"
  EXPECT_EQ(ErrorOf("ab: 1\nab\n").code(), kInvalid);
  EXPECT_TRUE(ErrorOf("a: 1").ok());
  EXPECT_EQ(ErrorOf("a: [1, 2\n").code(), kEarly);
  EXPECT_EQ(ErrorOf("a: {b: 1\n").code(), kEarly);
  EXPECT_EQ(ErrorOf("a: ]\nb: 1\n").code(), kInvalid);
}

TEST(StrictYamlTest, LimitsHold) {
  YamlLimits limits;
  limits.depth = 3;
  EXPECT_TRUE(ErrorOf("a: {b: {c: 1}}\n", limits).ok());
  files::ExpectError(ErrorOf("a: {b: {c: {}}}\n", limits), kLimit,
                     {"deeper than 3 levels"});
  limits = {};
  limits.values = 4;
  EXPECT_TRUE(ErrorOf("a: [1, 2]\n", limits).ok());
  files::ExpectError(ErrorOf("a: [1, 2, 3]\n", limits), kLimit,
                     {"more than 4"});
  limits = {};
  limits.bytes = 5;
  EXPECT_TRUE(ErrorOf("a: 1\n", limits).ok());
  files::ExpectError(ErrorOf("a: 12\n", limits), kLimit, {"more than 5 bytes"});
}

TEST(StrictYamlTest, WhatIsQuotedCannotWriteIntoALog) {
  files::ExpectError(ErrorOf("a: \"\\\x1b\"\n"), kInvalid, {"line 1", "\\x1b"});
}

// 256 KiB each: no stack, memory or time without bound.
TEST(StrictYamlTest, HostileTextsEndSoon) {
  constexpr int kBytes = (1 << 18) - 64;
  const std::vector<std::string> texts = {
      Repeated("[", kBytes) + "\n",
      Repeated("{", kBytes) + "\n",
      Repeated("{a: ", kBytes / 4) + "\n",
      Repeated("- ", kBytes / 2) + "\n",
      Repeated("? ", kBytes / 2) + "\n",
      Repeated("[\n", kBytes / 2),
      "a: " + Repeated("'", kBytes) + "\n",
      "a: &x [1]\nb: [" + Repeated("*x,", kBytes / 3) + "]\n",
      "a: " + std::string(kBytes, 'x') + "\n",
      std::string(kBytes, 'x') + ": 1\n",
      std::string(kBytes, ' ') + "\n",
      std::string(kBytes, '\n'),
      "a: |\n" + Repeated(" x\n", kBytes / 3),
      "%YAML 1.2\n%TAG ! tag:x:\n---\n" + Repeated("!a ", kBytes / 3) + "\n",
      Repeated("a: 1\n---\n", kBytes / 9),
      Repeated("#\n", kBytes / 2),
      Repeated("\xff", kBytes) + "\n",
  };
  for (const std::string& text : texts) {
    // What comes of it does not matter, only that something does.
    const absl::Status status = ErrorOf(text);
    EXPECT_LT(status.message().size(), 500u) << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace sinkwatch::checkpoint

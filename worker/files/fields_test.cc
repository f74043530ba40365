#include "worker/files/fields.h"

#include <cstdint>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::files {
namespace {

using Json = nlohmann::json;

constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;
constexpr char kPath[] = "/run/step7/config.json";

// What is wrong with `json` once `read` has read it; OK if nothing is.
template <typename Read>
absl::Status StatusOf(const Json& json, const Read& read) {
  Fields fields(json, "", kPath);
  read(fields);
  return fields.status();
}

TEST(FieldsTest, IntegersAreCheckedForTypeAndRange) {
  const Json json = Json::parse(
      R"({"n": 5, "low": -3, "half": 5.5, "whole": 5.0, "text": "5",
          "null": null, "big": 18446744073709551615})");
  Fields fields(json);
  EXPECT_EQ(fields.Int("n", 5, 5), 5);
  EXPECT_EQ(fields.Int("low", -3, -3), -3);
  EXPECT_EQ(fields.IntOr("null", 0, 9, 7), 7);
  EXPECT_EQ(fields.IntOr("absent", 0, 9, 7), 7);
  EXPECT_EQ(fields.Unsigned("n", 0, 9), 5);
  EXPECT_TRUE(fields.status().ok()) << fields.status();

  const auto expect_bad = [&](const char* key, int64_t low, int64_t high,
                              const std::string& rule) {
    ExpectError(StatusOf(json, [&](Fields& f) { f.Int(key, low, high); }),
                kCorrupt, {kPath, key, rule});
  };
  expect_bad("n", 6, 9, "'n': 5 is not in [6, 9]");
  expect_bad("n", 0, 4, "'n'");
  expect_bad("low", 0, 9, "'low': -3 is not in [0, 9]");
  expect_bad("big", 0, INT64_MAX, "18446744073709551615");
  expect_bad("big", -5, 5, "'big'");
  for (const char* key : {"half", "whole", "text"}) {
    expect_bad(key, 0, 9, "must be an integer");
  }
  for (const char* key : {"absent", "null"}) {
    expect_bad(key, 0, 9, "is missing");
  }
  ExpectError(StatusOf(json, [](Fields& f) { f.Unsigned("low", 0, 9); }),
              kCorrupt, {"'low'", "unsigned integer"});
}

TEST(FieldsTest, OtherValuesAreCheckedForType) {
  const Json json = Json::parse(
      R"({"eps": 1e-5, "one": 1, "zero": 0, "no": false, "text": "silu",
          "null": null, "list": [1, 2]})");
  Fields fields(json);
  EXPECT_DOUBLE_EQ(fields.PositiveOr("eps", 1), 1e-5);
  EXPECT_DOUBLE_EQ(fields.PositiveOr("one", 2), 1);
  EXPECT_DOUBLE_EQ(fields.PositiveOr("null", 2), 2);
  EXPECT_FALSE(fields.BoolOr("no", true));
  EXPECT_TRUE(fields.BoolOr("absent", true));
  EXPECT_EQ(fields.StringOr("text", ""), "silu");
  EXPECT_EQ(fields.StringOr("absent", "gelu"), "gelu");
  EXPECT_EQ(fields.String("text", 4), "silu");
  EXPECT_EQ(fields.Array("list", 2).size(), 2u);
  EXPECT_TRUE(fields.Has("no"));
  EXPECT_FALSE(fields.Has("null"));
  EXPECT_TRUE(fields.IsNull("null"));
  EXPECT_FALSE(fields.Has("absent"));
  EXPECT_TRUE(fields.status().ok()) << fields.status();

  const auto expect_bad = [&](auto read, const std::string& key,
                              const std::string& rule) {
    ExpectError(StatusOf(json, read), kCorrupt, {kPath, key, rule});
  };
  expect_bad([](Fields& f) { f.PositiveOr("zero", 1); }, "'zero'", "above 0");
  expect_bad([](Fields& f) { f.PositiveOr("no", 1); }, "'no'",
             "must be a number");
  expect_bad([](Fields& f) { f.Positive("null"); }, "'null'", "is missing");
  expect_bad([](Fields& f) { f.BoolOr("zero", true); }, "'zero'",
             "true or false");
  expect_bad([](Fields& f) { f.StringOr("one", ""); }, "'one'",
             "must be a string");
  expect_bad([](Fields& f) { f.String("one", 9); }, "'one'",
             "must be a string");
  expect_bad([](Fields& f) { f.String("text", 3); }, "'text'", "1 to 3 bytes");
  expect_bad([](Fields& f) { f.Array("list", 1); }, "'list'",
             "array of 1 to 1");
  expect_bad([](Fields& f) { f.Array("text"); }, "'text'", "must be an array");
}

TEST(FieldsTest, AfterAnErrorValuesAreInRange) {
  const Json json = {{"n", 50}, {"text", 1}};
  Fields fields(json);
  EXPECT_EQ(fields.Int("n", 3, 9), 3);
  EXPECT_EQ(fields.Int("absent", 4, 9), 4);
  EXPECT_EQ(fields.Positive("text2"), 1);
  EXPECT_EQ(fields.StringOr("text", "silu"), "silu");
  EXPECT_TRUE(fields.RequiredSection("text").json().empty());
}

TEST(FieldsTest, TheFirstErrorSticksWhoeverFindsIt) {
  const Json json = Json::parse(R"({"rope": {"bad": "x"}, "n": "y"})");
  Fields fields(json, "", kPath);
  Fields rope = fields.Section("rope");
  rope.PositiveOr("bad", 1);
  fields.Int("n", 0, 9);
  ExpectError(fields.status(), kCorrupt,
              {kPath, "'rope.bad'", "must be a number"});
  EXPECT_EQ(rope.status(), fields.status());
}

TEST(FieldsTest, AbsentSectionIsEmptyAndAnythingElseIsCorrupt) {
  const Json json = Json::parse(R"({"null": null, "list": [1]})");
  Fields fields(json, "", kPath);
  EXPECT_TRUE(fields.Section("absent").json().empty());
  EXPECT_TRUE(fields.Section("null").json().empty());
  EXPECT_TRUE(fields.status().ok()) << fields.status();
  ExpectError(StatusOf(json, [](Fields& f) { f.Section("list"); }), kCorrupt,
              {kPath, "'list'", "must be an object"});
  ExpectError(StatusOf(json, [](Fields& f) { f.RequiredSection("null"); }),
              kCorrupt, {kPath, "'null'", "is missing"});
}

TEST(FieldsTest, PartsSayWhereTheyAre) {
  const Json json = Json::parse(R"({"domains": [{"label": 1}, 2]})");
  Fields fields(json, "root");
  const Json& domains = fields.Array("domains");
  Fields first = fields.Part(domains[0], "domains[0]");
  first.String("label", 9);
  ExpectError(fields.status(), kCorrupt, {"'root.domains[0].label'"});
  ExpectError(StatusOf(json, [&](Fields& f) { f.Part(domains[1], "d[1]"); }),
              kCorrupt, {"'d[1]'", "must be an object"});
}

TEST(FieldsTest, ErrorsOfTheWholeNameTheObject) {
  const Json json = Json::parse(R"({"rope": {}})");
  ExpectError(StatusOf(json, [](Fields& f) { f.Contradiction("a is no b"); }),
              kCorrupt, {std::string(kPath) + ": a is no b"});
  ExpectError(
      StatusOf(json, [](Fields& f) { f.Section("rope").Unsupported("x"); }),
      kUnsupported, {std::string(kPath) + ": rope: x is not implemented"});
}

TEST(FieldsTest, FieldsThatNobodyKnowsAreErrors) {
  const Json json = Json::parse(R"({"a": 1, "b": 2, "c": null})");
  const auto take_a = [](Fields& f) {
    f.Int("a", 0, 9);
    f.ExpectNoOther();
  };
  ExpectError(StatusOf(json, take_a), kUnsupported, {"'b'", "is not known"});
  ExpectError(StatusOf(json, [](Fields& f) { f.ExpectOnly({"a"}, "is odd"); }),
              kCorrupt, {"'b'", "is odd"});
  ExpectError(StatusOf(json,
                       [](Fields& f) {
                         f.ExpectOnly({"a", "b", "c"}, "is odd");
                       }),
              kCorrupt, {"'c'", "null"});
}

TEST(FieldsTest, RequiredValuesAreRefusedByName) {
  const Json json = Json::parse(R"({"bias": true, "act": "gelu", "s": 2})");
  const auto expect_refused = [&](auto read, const std::string& key,
                                  const std::string& value) {
    ExpectError(StatusOf(json, read), kUnsupported, {kPath, key, value});
  };
  expect_refused([](Fields& f) { f.RequireBool("bias", false, false); },
                 "'bias'", "true is not implemented");
  expect_refused([](Fields& f) { f.RequireBool("none", false, true); },
                 "'none'", "absent, which means true");
  expect_refused([](Fields& f) { f.RequireString("act", "silu", "silu"); },
                 "'act'", "'gelu'");
  expect_refused([](Fields& f) { f.RequireNumber("s", 1, 1); }, "'s'", "2");
  expect_refused([](Fields& f) { f.RequireAbsent("act", "a gate"); }, "'act'",
                 "a gate is not implemented");
}

}  // namespace
}  // namespace sinkwatch::files

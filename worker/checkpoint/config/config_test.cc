#include "worker/checkpoint/config/config.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;
constexpr char kPath[] = "step7/config.json";

Config Parsed(const std::string& text) {
  absl::StatusOr<Config> config = Config::Parse(kPath, text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *std::move(config) : *Config::Parse(kPath, "{}");
}

absl::Status ParseStatus(const std::string& text) {
  return Config::Parse(kPath, text).status();
}

TEST(ConfigTest, AFileIsRead) {
  base::TempFolder temp;
  files::WriteFile(temp / "config.json", R"({"hidden_size": 64})");
  auto config = Config::Read(temp / "config.json");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path(), temp / "config.json");
  EXPECT_EQ(*config->Int("hidden_size", 1, 1000), 64);
}

TEST(ConfigTest, AMissingFileIsIncompleteAndAMissingFolderIsGone) {
  base::TempFolder temp;
  files::ExpectError(Config::Read(temp / "config.json").status(), kIncomplete,
                     {temp / "config.json", "not there"});
  files::ExpectError(Config::Read(temp / "step1/config.json").status(),
                     absl::StatusCode::kNotFound,
                     {"step1/config.json", "gone"});
}

TEST(ConfigTest, AHalfWrittenFileIsIncomplete) {
  base::TempFolder temp;
  files::WriteFile(temp / "config.json", "");
  files::ExpectError(Config::Read(temp / "config.json").status(), kIncomplete,
                     {"config.json", "empty"});
  files::WriteFile(temp / "config.json", R"({"hidden_size": 6)");
  files::ExpectError(Config::Read(temp / "config.json").status(), kIncomplete,
                     {"config.json", "ends at byte 17"});
}

TEST(ConfigTest, WhatIsNotAJsonObjectIsCorrupt) {
  files::ExpectError(ParseStatus("[1]"), kCorrupt,
                     {kPath, "not a JSON object"});
  files::ExpectError(ParseStatus("{]"), kCorrupt, {kPath, "at byte 2"});
  files::ExpectError(ParseStatus("model:\n  d_model: 64\n"), kCorrupt,
                     {kPath, "not a JSON object"});
  files::ExpectError(ParseStatus(R"({"a": 1, "a": 2})"), kCorrupt,
                     {kPath, "'a'", "twice"});
}

TEST(ConfigTest, SizeAndDepthAreLimited) {
  files::ExpectError(ParseStatus("{\"a\":" + std::string(40, '[')),
                     kUnsupported, {kPath, "deeper than 32"});
  files::ExpectError(ParseStatus("{}" + std::string(4 << 20, ' ')),
                     kUnsupported, {kPath, "4194304"});
  base::TempFolder temp;
  files::WriteFile(temp / "config.json", "{}" + std::string(4 << 20, ' '));
  files::ExpectError(Config::Read(temp / "config.json").status(), kUnsupported,
                     {"config.json", "4194304"});
}

TEST(ConfigTest, ArchitectureComesFromItsKeyOrTheModelType) {
  EXPECT_EQ(*Parsed(R"({"architectures": ["OlmoForCausalLM"],
                        "model_type": "llama"})")
                 .Architecture(),
            "OlmoForCausalLM");
  EXPECT_EQ(*Parsed(R"({"model_type": "llama"})").Architecture(),
            "LlamaForCausalLM");
  EXPECT_EQ(*Parsed(R"({"architectures": null, "model_type": "olmo"})")
                 .Architecture(),
            "OlmoForCausalLM");
}

TEST(ConfigTest, AnArchitectureThatNobodyNamesIsUnsupported) {
  files::ExpectError(Parsed("{}").Architecture().status(), kUnsupported,
                     {kPath, "'architectures'", "'model_type'"});
  files::ExpectError(
      Parsed(R"({"model_type": "mamba"})").Architecture().status(),
      kUnsupported, {kPath, "'mamba'"});
  for (const char* text :
       {R"({"architectures": []})", R"({"architectures": "Llama"})",
        R"({"architectures": [1]})"}) {
    files::ExpectError(Parsed(text).Architecture().status(), kCorrupt,
                       {kPath, "'architectures'", "list of names"});
  }
}

TEST(ConfigTest, IntegersAreCheckedForTypeAndRange) {
  const Config config = Parsed(
      R"({"n": 5, "low": -3, "half": 5.5, "whole": 5.0, "text": "5",
          "null": null, "big": 18446744073709551615})");
  EXPECT_EQ(*config.Int("n", 5, 5), 5);
  EXPECT_EQ(*config.Int("low", -3, -3), -3);
  EXPECT_EQ(*config.IntOr("null", 0, 9, 7), 7);
  EXPECT_EQ(*config.IntOr("absent", 0, 9, 7), 7);
  files::ExpectError(config.Int("n", 6, 9).status(), kCorrupt,
                     {kPath, "'n'", "5 is not in [6, 9]"});
  files::ExpectError(config.Int("n", 0, 4).status(), kCorrupt, {"'n'"});
  files::ExpectError(config.IntOr("low", 0, 9, 1).status(), kCorrupt,
                     {"'low'", "-3 is not in [0, 9]"});
  files::ExpectError(config.Int("big", 0, INT64_MAX).status(), kCorrupt,
                     {"'big'", "18446744073709551615"});
  files::ExpectError(config.Int("big", -5, 5).status(), kCorrupt, {"'big'"});
  for (const char* key : {"half", "whole", "text"}) {
    files::ExpectError(config.Int(key, 0, 9).status(), kCorrupt,
                       {kPath, key, "must be an integer"});
  }
  for (const char* key : {"absent", "null"}) {
    files::ExpectError(config.Int(key, 0, 9).status(), kCorrupt,
                       {kPath, key, "is missing"});
  }
}

TEST(ConfigTest, OtherValuesAreCheckedForType) {
  const Config config = Parsed(
      R"({"eps": 1e-5, "one": 1, "zero": 0, "no": false, "text": "silu",
          "null": null})");
  EXPECT_DOUBLE_EQ(*config.PositiveOr("eps", 1), 1e-5);
  EXPECT_DOUBLE_EQ(*config.PositiveOr("one", 2), 1);
  EXPECT_DOUBLE_EQ(*config.PositiveOr("null", 2), 2);
  files::ExpectError(config.PositiveOr("zero", 1).status(), kCorrupt,
                     {kPath, "'zero'", "above 0"});
  files::ExpectError(config.PositiveOr("no", 1).status(), kCorrupt,
                     {"'no'", "must be a number"});
  EXPECT_FALSE(*config.BoolOr("no", true));
  EXPECT_TRUE(*config.BoolOr("absent", true));
  files::ExpectError(config.BoolOr("zero", true).status(), kCorrupt,
                     {kPath, "'zero'", "true or false"});
  EXPECT_EQ(*config.StringOr("text", ""), "silu");
  EXPECT_EQ(*config.StringOr("absent", "gelu"), "gelu");
  files::ExpectError(config.StringOr("one", "").status(), kCorrupt,
                     {kPath, "'one'", "must be a string"});
  EXPECT_TRUE(config.Has("no"));
  EXPECT_FALSE(config.Has("null"));
  EXPECT_FALSE(config.Has("absent"));
}

TEST(ConfigTest, SectionIsAConfigThatNamesItsKey) {
  const Config config = Parsed(R"({"rope": {"theta": 5, "bad": "x"}})");
  const auto section = config.Section("rope");
  ASSERT_TRUE(section.ok()) << section.status();
  EXPECT_EQ(*section->PositiveOr("theta", 1), 5);
  files::ExpectError(section->PositiveOr("bad", 1).status(), kCorrupt,
                     {kPath, "rope", "'bad'", "must be a number"});
}

TEST(ConfigTest, AbsentSectionIsEmptyAndAnythingElseIsCorrupt) {
  const Config config = Parsed(R"({"null": null, "list": [1]})");
  EXPECT_TRUE(config.Section("absent")->json().empty());
  EXPECT_TRUE(config.Section("null")->json().empty());
  files::ExpectError(config.Section("list").status(), kCorrupt,
                     {kPath, "'list'", "must be an object"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint

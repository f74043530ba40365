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
  EXPECT_EQ(config->fields().Int("hidden_size", 1, 1000), 64);
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

// Python writes them, and reads them.
TEST(ConfigTest, InfinityMattersWhereItsKeyIsTaken) {
  const Config config =
      Parsed(R"({"limit": [0.0, Infinity], "eps": NaN, "n": 5})");
  files::Fields fields = config.fields();
  EXPECT_EQ(fields.Int("n", 0, 9), 5);
  EXPECT_TRUE(fields.status().ok());
  fields.PositiveOr("eps", 1);
  files::ExpectError(fields.status(), kCorrupt,
                     {kPath, "'eps'", "must be a finite number"});
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

TEST(ConfigTest, KeysAreTakenByNameOfTheFile) {
  const Config config = Parsed(R"({"n": 5, "text": "x", "none": null})");
  EXPECT_TRUE(config.Has("n"));
  EXPECT_FALSE(config.Has("none"));
  EXPECT_FALSE(config.Has("absent"));
  files::Fields fields = config.fields();
  EXPECT_EQ(fields.Int("n", 0, 9), 5);
  fields.Int("text", 0, 9);
  files::ExpectError(fields.status(), kCorrupt,
                     {kPath, "'text'", "must be an integer"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint

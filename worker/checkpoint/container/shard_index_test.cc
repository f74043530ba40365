#include "worker/checkpoint/container/shard_index.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr char kSuffix[] = ".safetensors";
constexpr char kPath[] = "step7/model.safetensors.index.json";

TEST(ShardIndexTest, TensorsAreListedByShard) {
  auto index = ParseShardIndex(kPath, R"({
      "metadata": {"total_size": 123.0},
      "weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors",
                     "c": "m-2.safetensors"}})",
                               kSuffix);
  ASSERT_TRUE(index.ok()) << index.status();
  const ShardIndex expected = {{"m-1.safetensors", {"a"}},
                               {"m-2.safetensors", {"b", "c"}}};
  EXPECT_EQ(*index, expected);
}

struct BadIndex {
  const char* name;
  std::string text;
  absl::StatusCode code;
  std::vector<std::string> words;
};

std::string Map(const std::string& shard) {
  return absl::StrCat("{\"weight_map\": {\"a\": ", shard, "}}");
}

std::string ManyShards(size_t count) {
  std::string text = "{\"weight_map\": {";
  for (size_t i = 0; i < count; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", "\"t", i, "\":\"m", i,
                    ".safetensors\"");
  }
  return text + "}}";
}

std::vector<BadIndex> BadIndexes() {
  return {
      {"Empty", "", absl::StatusCode::kFailedPrecondition, {"empty"}},
      {"CutShort",
       R"({"weight_map": {"a": "m.safe)",
       absl::StatusCode::kFailedPrecondition,
       {"ends at byte 28"}},
      {"NotJson", "{weight_map}", kCorrupt, {"at byte 2"}},
      {"NoWeightMap", "{}", kCorrupt, {"'weight_map'"}},
      {"WeightMapIsAnArray", R"({"weight_map": []})", kCorrupt, {"object"}},
      {"NothingInTheWeightMap",
       R"({"weight_map": {}})",
       kCorrupt,
       {"'weight_map'", "not empty"}},
      {"RepeatedTensor",
       R"({"weight_map": {"a": "m.safetensors", "a": "n.safetensors"}})",
       kCorrupt,
       {"'a'", "twice"}},
      {"ShardIsANumber", Map("1"), kCorrupt, {"'a'", "must be a string"}},
      {"AbsoluteShard",
       Map("\"/data/m.safetensors\""),
       kCorrupt,
       {"'a'", "bare name"}},
      {"ShardOfTheParent",
       Map("\"../m.safetensors\""),
       kCorrupt,
       {"'a'", "bare name"}},
      {"ShardInAFolder",
       Map("\"model/m.safetensors\""),
       kCorrupt,
       {"'a'", "bare name"}},
      {"EmptyShard", Map("\"\""), kCorrupt, {"'a'", "bare name"}},
      {"ShardWithANul",
       Map("\"m\\u0000.safetensors\""),
       kCorrupt,
       {"'a'", "bare name"}},
      {"ShardOfAnotherKind",
       Map("\"config.json\""),
       kCorrupt,
       {"'a'", "'config.json'", ".safetensors"}},
      {"TooManyShards",
       ManyShards(513),
       absl::StatusCode::kUnimplemented,
       {"more than 512 shards"}},
      {"TooManyValues",
       absl::StrCat(
           "{\"metadata\": [0", std::string(500000, ' '),
           []() {
             std::string zeros;
             for (int i = 0; i < 200001; ++i) zeros += ",0";
             return zeros;
           }(),
           "]}"),
       absl::StatusCode::kUnimplemented,
       {"more than 200000 values"}},
  };
}

class BadIndexTest : public ::testing::TestWithParam<BadIndex> {};

TEST_P(BadIndexTest, IsRefusedWithFilePlaceAndRule) {
  absl::Status status =
      ParseShardIndex(kPath, GetParam().text, kSuffix).status();
  files::ExpectError(status, GetParam().code, {kPath});
  for (const std::string& word : GetParam().words) {
    files::ExpectError(status, GetParam().code, {word});
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadIndexTest, ::testing::ValuesIn(BadIndexes()),
                         [](const auto& info) { return info.param.name; });

TEST(ShardIndexTest, AsManyShardsAsTheLimitAreRead) {
  auto index = ParseShardIndex(kPath, ManyShards(512), kSuffix);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->size(), 512u);
}

}  // namespace
}  // namespace sinkwatch::checkpoint

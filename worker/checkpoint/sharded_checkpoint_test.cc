// Checkpoints of several files and an index of them.
#include <filesystem>
#include <map>
#include <string>

#include "ATen/ops/equal.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/writer.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;
constexpr auto kVanished = absl::StatusCode::kNotFound;

// A checkpoint of two shards and an index, which a test spoils.
class ShardTest : public ::testing::Test {
 protected:
  ShardTest() {
    files::WriteFile(temp_ / "config.json", R"({"model_type": "llama"})");
    SetShard("m-1.safetensors", {{"a", at::ones({2}, at::kFloat)}});
    SetShard("m-2.safetensors", {{"b", at::zeros({3}, at::kFloat)},
                                 {"c", at::zeros({4}, at::kFloat)}});
    SetIndex({{"a", "m-1.safetensors"},
              {"b", "m-2.safetensors"},
              {"c", "m-2.safetensors"}});
  }

  void SetShard(const std::string& name,
                const std::map<std::string, at::Tensor>& tensors) {
    EXPECT_TRUE(WriteSafetensors(temp_ / name, tensors).ok());
  }
  void SetIndex(const std::map<std::string, std::string>& weight_map) {
    files::WriteFile(temp_ / "model.safetensors.index.json",
                     nlohmann::json({{"weight_map", weight_map}}).dump());
  }
  absl::Status Open() { return Checkpoint::Open(temp_.path()).status(); }

  base::TempFolder temp_;
};

TEST_F(ShardTest, TensorsOfAllShardsAreOneCheckpoint) {
  auto opened = Checkpoint::Open(temp_.path());
  ASSERT_TRUE(opened.ok()) << opened.status();
  Checkpoint& checkpoint = **opened;
  ASSERT_EQ(checkpoint.tensors().size(), 3u);
  EXPECT_EQ(checkpoint.tensors()[0].name, "a");
  EXPECT_EQ(checkpoint.tensors()[2].name, "c");
  EXPECT_TRUE(
      at::equal(*checkpoint.ReadTensor("a", {2}), at::ones({2}, at::kFloat)));
  EXPECT_TRUE(
      at::equal(*checkpoint.ReadTensor("c", {4}), at::zeros({4}, at::kFloat)));
  EXPECT_TRUE(checkpoint.CheckUnchanged().ok());
  fs::remove(temp_ / "m-2.safetensors");
  files::ExpectError(checkpoint.CheckUnchanged(), kVanished,
                     {"m-2.safetensors"});
  EXPECT_TRUE(checkpoint.ReadTensor("a", {2}).ok());
}

// What downloads of the weights alone leave.
TEST_F(ShardTest, TheOnlySetOfShardsNeedsNoIndex) {
  fs::remove(temp_ / "model.safetensors.index.json");
  files::ExpectError(Open(), kIncomplete, {"neither model.safetensors"});
  fs::rename(temp_ / "m-1.safetensors",
             temp_ / "model-00001-of-00002.safetensors");
  files::ExpectError(Open(), kIncomplete, {"neither model.safetensors"});
  fs::rename(temp_ / "m-2.safetensors",
             temp_ / "model-00002-of-00002.safetensors");
  auto opened = Checkpoint::Open(temp_.path());
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_EQ((*opened)->tensors().size(), 3u);
  EXPECT_TRUE(
      at::equal(*(*opened)->ReadTensor("c", {4}), at::zeros({4}, at::kFloat)));
  // A second set, or a tensor in two shards: nothing tells which counts.
  SetShard("model-00001-of-00003.safetensors", {});
  files::ExpectError(Open(), kIncomplete, {"neither model.safetensors"});
  fs::remove(temp_ / "model-00001-of-00003.safetensors");
  SetShard("model-00002-of-00002.safetensors",
           {{"a", at::zeros({2}, at::kFloat)}});
  files::ExpectError(Open(), kUnsupported, {"'a'", "in two shards"});
}

TEST_F(ShardTest, AMissingShardIsIncomplete) {
  fs::remove(temp_ / "m-2.safetensors");
  files::ExpectError(Open(), kIncomplete, {"m-2.safetensors", "not there"});
}

TEST_F(ShardTest, AShortShardIsIncomplete) {
  fs::resize_file(temp_ / "m-2.safetensors",
                  fs::file_size(temp_ / "m-2.safetensors") - 1);
  files::ExpectError(Open(), kIncomplete, {"m-2.safetensors", "'c'"});
}

TEST_F(ShardTest, AnIndexInTheMakingIsIncomplete) {
  files::WriteFile(temp_ / "model.safetensors.index.json",
                   "{\"weight_map\": {");
  files::ExpectError(Open(), kIncomplete, {"index.json", "ends at byte 16"});
}

TEST_F(ShardTest, AListedTensorMustBeInItsShard) {
  SetIndex({{"a", "m-1.safetensors"}, {"b", "m-1.safetensors"}});
  files::ExpectError(Open(), kCorrupt,
                     {"m-1.safetensors", "'b'", "index.json"});
}

TEST_F(ShardTest, AnUnlistedTensorIsLeftOut) {
  SetIndex({{"a", "m-1.safetensors"}, {"b", "m-2.safetensors"}});
  auto checkpoint = Checkpoint::Open(temp_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->tensors().size(), 2u);
  EXPECT_EQ((*checkpoint)->Find("c"), nullptr);
}

TEST_F(ShardTest, AShardThatLinksOutOfTheFolderIsNotRead) {
  fs::remove(temp_ / "m-2.safetensors");
  fs::create_symlink("/etc/passwd", temp_ / "m-2.safetensors");
  files::ExpectError(Open(), kUnsupported, {"m-2.safetensors", "/etc/passwd"});
}

// As in transformers' from_pretrained.
TEST_F(ShardTest, ASingleFileGoesBeforeTheIndex) {
  SetShard("model.safetensors", {{"z", at::ones({1}, at::kFloat)}});
  auto checkpoint = Checkpoint::Open(temp_.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_NE((*checkpoint)->Find("z"), nullptr);
  EXPECT_EQ((*checkpoint)->Find("a"), nullptr);
}

TEST_F(ShardTest, AConfigThatNamesOtherWeightsIsUnsupported) {
  files::WriteFile(temp_ / "config.json",
                   R"({"transformers_weights": "ema.safetensors"})");
  files::ExpectError(Open(), kUnsupported, {"config.json", "ema.safetensors"});
  files::WriteFile(
      temp_ / "config.json",
      R"({"transformers_weights": "model.safetensors.index.json"})");
  EXPECT_TRUE(Open().ok()) << Open();
}

}  // namespace
}  // namespace sinkwatch::checkpoint

#include "worker/checkpoint/writer.h"

#include <filesystem>
#include <limits>
#include <map>
#include <string>

#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/container/safetensors_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

namespace fs = std::filesystem;

const nlohmann::json& Config() {
  static const auto* config = new nlohmann::json(
      {{"architectures", {"OlmoForCausalLM"}}, {"hidden_size", 8}});
  return *config;
}

TEST(WriterTest, AFileIsLaidOutAsTheReferenceWriterDoes) {
  base::TempFolder temp;
  const absl::Status written = WriteSafetensors(
      temp / "m.safetensors", {{"b", at::ones({1}, at::kFloat)},
                               {"a", at::zeros({2}, at::kBFloat16)},
                               {"c", at::ones({}, at::kFloat)}});
  ASSERT_TRUE(written.ok()) << written;
  const std::string one("\0\0\x80\x3f", 4);
  // Wide elements first, then by name; the header padded to 8 bytes.
  std::string header =
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("c":{"dtype":"F32","shape":[],"data_offsets":[4,8]},)"
      R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(files::ReadFile(temp / "m.safetensors"),
            SafetensorsBytes(header, one + one + std::string(4, '\0')));
}

TEST(WriterTest, WhatIsWrittenIsReadBackBitByBit) {
  base::TempFolder temp;
  const std::map<std::string, at::Tensor> tensors = {
      {"strided", at::arange(6, at::kFloat).reshape({2, 3}).t()},
      {"bf16", at::arange(5, at::kBFloat16)},
      {"f16", at::arange(5, at::kHalf)},
      {"empty", at::zeros({0, 4}, at::kFloat)},
      {"with \"quotes\" and \xc3\xa9", at::ones({1}, at::kFloat)},
      {"leaf", at::ones({2}, at::kFloat).requires_grad_()}};
  const absl::Status written =
      WriteCheckpoint(temp / "step10", Config(), tensors);
  ASSERT_TRUE(written.ok()) << written;
  auto checkpoint = Checkpoint::Open(temp / "step10");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->config().json(), Config());
  EXPECT_EQ((*checkpoint)->tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    auto read = (*checkpoint)->ReadTensor(name, tensor.sizes().vec());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(at::equal(*read, tensor)) << name;
  }
}

TEST(WriterTest, NothingButTheFinalFolderIsLeft) {
  base::TempFolder temp;
  ASSERT_TRUE(WriteCheckpoint(temp / "step1", Config(),
                              {{"x", at::ones({1}, at::kFloat)}})
                  .ok());
  int num_entries = 0;
  for (const auto& entry : fs::directory_iterator(temp.path())) {
    EXPECT_EQ(entry.path().filename(), "step1");
    ++num_entries;
  }
  EXPECT_EQ(num_entries, 1);
}

TEST(WriterTest, AFolderThatIsThereIsKept) {
  base::TempFolder temp;
  fs::create_directory(temp / "step1");
  files::ExpectError(WriteCheckpoint(temp / "step1", Config(),
                                     {{"x", at::ones({1}, at::kFloat)}}),
                     absl::StatusCode::kAlreadyExists, {temp / "step1"});
  EXPECT_TRUE(fs::is_empty(temp / "step1"));
}

TEST(WriterTest, WhatAnEarlierAttemptLeftIsReplaced) {
  base::TempFolder temp;
  fs::create_directories(temp / "step1-tmp/old");
  ASSERT_TRUE(WriteCheckpoint(temp / "step1", Config(),
                              {{"x", at::ones({1}, at::kFloat)}})
                  .ok());
  EXPECT_FALSE(fs::exists(temp / "step1/old"));
  EXPECT_FALSE(fs::exists(temp / "step1-tmp"));
}

TEST(WriterTest, AFailedWriteLeavesNoFinalFolder) {
  base::TempFolder temp;
  files::ExpectError(WriteCheckpoint(temp / "step1", Config(),
                                     {{"x", at::ones({1}, at::kLong)}}),
                     absl::StatusCode::kInvalidArgument,
                     {"model.safetensors", "'x'", "dtype"});
  files::ExpectError(
      WriteCheckpoint(temp / "step1", Config(),
                      {{"__metadata__", at::ones({1}, at::kFloat)}}),
      absl::StatusCode::kInvalidArgument, {"__metadata__"});
  EXPECT_FALSE(fs::exists(temp / "step1"));
  files::ExpectError(
      WriteSafetensors(temp / "no/folder", {{"x", at::ones({1}, at::kFloat)}}),
      absl::StatusCode::kUnavailable, {"no/folder", "open"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint

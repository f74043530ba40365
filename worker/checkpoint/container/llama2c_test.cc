#include "worker/checkpoint/container/llama2c.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

// dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len
using Fields = std::vector<int32_t>;
const Fields kFields = {8, 6, 2, 2, 1, 5, 3};

// Floats of a model with kFields, by hand: embedding, per layer norms,
// projections and feed-forward, last norm, positions.
constexpr int64_t kFloats =
    5 * 8 + 2 * (8 + 64 + 32 + 32 + 64 + 8 + 48 + 48 + 48) + 8 + 2 * 3 * 2;

// Float i of the file is i.
std::string Bytes(const Fields& fields, int64_t num_floats) {
  std::string bytes(4 * (fields.size() + num_floats), '\0');
  std::memcpy(bytes.data(), fields.data(), 4 * fields.size());
  for (int64_t i = 0; i < num_floats; ++i) {
    const float value = static_cast<float>(i);
    std::memcpy(&bytes[4 * (fields.size() + i)], &value, 4);
  }
  return bytes;
}

class Llama2cTest : public ::testing::Test {
 protected:
  absl::StatusOr<Llama2c> Open(const std::string& bytes) {
    files::WriteFile(temp_ / "model.bin", bytes);
    return OpenLlama2c(temp_ / "model.bin");
  }

  // With field `i` set to `value`.
  absl::Status StatusWith(int i, int32_t value) {
    Fields fields = kFields;
    fields[i] = value;
    return Open(Bytes(fields, kFloats)).status();
  }

  base::TempFolder temp_;
};

std::vector<float> ReadAll(const Contents& contents, const std::string& name,
                           std::vector<int64_t> shape) {
  for (const StoredTensor& tensor : contents.tensors) {
    if (tensor.name != name) continue;
    EXPECT_EQ(tensor.shape, shape) << name;
    int64_t count = 1;
    for (int64_t size : tensor.shape) count *= size;
    std::vector<float> values(count);
    absl::Status status =
        ReadRows(contents, tensor, {0, shape[0]}, values.data());
    EXPECT_TRUE(status.ok()) << status;
    return values;
  }
  ADD_FAILURE() << "no tensor " << name;
  return {0};
}

TEST_F(Llama2cTest, TensorsLieWhereRunCReadsThem) {
  auto model = Open(Bytes(kFields, kFloats));
  ASSERT_TRUE(model.ok()) << model.status();
  const Contents& contents = model->contents;
  EXPECT_EQ(contents.tensors.size(), 2 + 9 * 2u);
  const auto first = [&](const std::string& name, std::vector<int64_t> shape) {
    return ReadAll(contents, name, std::move(shape)).front();
  };
  EXPECT_EQ(first("tok_embeddings.weight", {5, 8}), 0);
  EXPECT_EQ(first("layers.0.attention_norm.weight", {8}), 40);
  EXPECT_EQ(first("layers.1.attention_norm.weight", {8}), 48);
  EXPECT_EQ(first("layers.0.attention.wq.weight", {8, 8}), 56);
  EXPECT_EQ(first("layers.1.attention.wk.weight", {4, 8}), 56 + 128 + 32);
  EXPECT_EQ(first("layers.0.attention.wv.weight", {4, 8}), 248);
  EXPECT_EQ(first("layers.0.attention.wo.weight", {8, 8}), 312);
  EXPECT_EQ(first("layers.0.ffn_norm.weight", {8}), 440);
  EXPECT_EQ(first("layers.0.feed_forward.w1.weight", {6, 8}), 456);
  EXPECT_EQ(first("layers.1.feed_forward.w2.weight", {8, 6}), 552 + 48);
  EXPECT_EQ(first("layers.0.feed_forward.w3.weight", {6, 8}), 648);
  EXPECT_EQ(ReadAll(contents, "norm.weight", {8}),
            (std::vector<float>{744, 745, 746, 747, 748, 749, 750, 751}));
}

TEST_F(Llama2cTest, ANegativeVocabularyMeansAClassifierOfItsOwn) {
  Fields fields = kFields;
  fields[5] = -5;
  auto model = Open(Bytes(fields, kFloats + 5 * 8));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(ReadAll(model->contents, "output.weight", {5, 8}).front(), kFloats);
  const auto config = nlohmann::json::parse(model->config_json);
  EXPECT_EQ(config["tie_word_embeddings"], false);
  EXPECT_EQ(config["vocab_size"], 5);
}

TEST_F(Llama2cTest, TheConfigIsWhatHuggingFaceWouldSay) {
  auto model = Open(Bytes(kFields, kFloats));
  ASSERT_TRUE(model.ok()) << model.status();
  const auto config = nlohmann::json::parse(model->config_json);
  const auto want = nlohmann::json::parse(R"({
      "architectures": ["LlamaForCausalLM"], "model_type": "llama",
      "hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 2,
      "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 5,
      "max_position_embeddings": 3, "tie_word_embeddings": true,
      "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 10000.0})");
  EXPECT_EQ(config, want);
}

TEST_F(Llama2cTest, AFileThatMayStillGrowIsIncomplete) {
  const std::string bytes = Bytes(kFields, kFloats);
  const auto incomplete = absl::StatusCode::kFailedPrecondition;
  files::ExpectError(Open("").status(), incomplete,
                     {"model.bin", "header of 28"});
  files::ExpectError(Open(bytes.substr(0, 27)).status(), incomplete,
                     {"27 bytes"});
  files::ExpectError(Open(bytes.substr(0, bytes.size() - 1)).status(),
                     incomplete, {"model.bin", "the header asks for"});
  files::ExpectError(Open(std::string(bytes.size(), '\0')).status(), incomplete,
                     {"zeros"});
}

TEST_F(Llama2cTest, AFileThatIsTooLongIsCorrupt) {
  files::ExpectError(Open(Bytes(kFields, kFloats) + 'x').status(),
                     absl::StatusCode::kDataLoss, {"model.bin", "asks for"});
}

TEST_F(Llama2cTest, FieldsThatMakeNoModelAreCorrupt) {
  const auto corrupt = absl::StatusCode::kDataLoss;
  files::ExpectError(StatusWith(0, 0), corrupt, {"dim is 0"});
  files::ExpectError(StatusWith(1, -6), corrupt, {"hidden_dim is -6"});
  files::ExpectError(StatusWith(2, 0), corrupt, {"n_layers is 0"});
  files::ExpectError(StatusWith(5, 0), corrupt, {"vocab_size is 0"});
  files::ExpectError(StatusWith(3, 3), corrupt, {"dim 8", "n_heads 3"});
  files::ExpectError(StatusWith(3, 8), corrupt, {"1 wide", "pairs"});
  files::ExpectError(StatusWith(4, 3), corrupt, {"n_heads 2", "n_kv_heads 3"});
}

TEST_F(Llama2cTest, WhatIsNotReadIsSaid) {
  const auto unsupported = absl::StatusCode::kUnimplemented;
  files::ExpectError(StatusWith(0, 0x616b3432), unsupported, {"version 6"});
  const int32_t most = std::numeric_limits<int32_t>::max();
  for (int i = 0; i < 7; ++i) {
    files::ExpectError(StatusWith(i, most), unsupported, {"above the"});
  }
  files::ExpectError(StatusWith(5, std::numeric_limits<int32_t>::min()),
                     unsupported, {"vocab_size is 2147483648"});
}

TEST_F(Llama2cTest, TheLargestHeaderAsksForAFileAndNoMemory) {
  // 2 PB, nowhere an overflow.
  const Fields fields = {1 << 17, 1 << 20, 1 << 10, 1 << 10,
                         1 << 10, 1 << 22, 1 << 24};
  files::ExpectError(Open(Bytes(fields, 0)).status(),
                     absl::StatusCode::kFailedPrecondition,
                     {"28 bytes", "asks for 1972533524430876"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint

#include "worker/checkpoint/checkpoint.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/test_files.h"
#include "worker/checkpoint/writer.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr char kStories[] = "tests/data/stories260K";

const nlohmann::json& ToyConfig() {
  static const auto* config = new nlohmann::json({{"model_type", "llama"}});
  return *config;
}

std::string WriteToy(const TempFolder& temp,
                     const std::map<std::string, at::Tensor>& tensors) {
  const std::string folder = temp / "step1";
  EXPECT_TRUE(WriteCheckpoint(folder, ToyConfig(), tensors).ok());
  return folder;
}

std::string WriteToy(const TempFolder& temp) {
  return WriteToy(temp, {{"a", at::arange(6, at::kFloat).reshape({2, 3})},
                         {"b", at::ones({4}, at::kFloat)}});
}

absl::Status OpenStatus(const std::string& folder) {
  return Checkpoint::Open(folder).status();
}

TEST(CheckpointTest, ARealCheckpointIsListedAndRead) {
  auto checkpoint = Checkpoint::Open(kStories);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(*(*checkpoint)->config().Architecture(), "LlamaForCausalLM");
  EXPECT_EQ((*checkpoint)->tensors().size(), 47u);
  const TensorInfo* q =
      (*checkpoint)->Find("model.layers.0.self_attn.q_proj.weight");
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(q->dtype, at::kFloat);
  EXPECT_EQ(q->shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ((*checkpoint)->Find("model.layers.5.self_attn.q_proj.weight"),
            nullptr);
  for (const TensorInfo& tensor : (*checkpoint)->tensors()) {
    auto read = (*checkpoint)->ReadTensor(tensor.name, tensor.shape);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->sizes(), at::IntArrayRef(tensor.shape));
  }
  EXPECT_TRUE((*checkpoint)->CheckUnchanged().ok());
}

}  // namespace
}  // namespace sinkwatch::checkpoint

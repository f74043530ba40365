// The same weights in every container that a trainer may leave: after loading
// they are equal bit for bit, and so are the logits. tests/data/containers has
// the list of who wrote what. Of every architecture in those containers that do
// not depend on it.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/remainder.h"
#include "ATen/ops/std.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "tests/containers/rewritten_testing.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/weight_loader.h"
#include "worker/model/architecture.h"
#include "worker/model/registry.h"

namespace sinkwatch {
namespace {

namespace fs = std::filesystem;

using checkpoint::Checkpoint;
using executor::WeightLoader;
using model::TensorMap;
using model::TensorSpec;

// A model with all its weights: embedding, layers, head.
struct Model {
  std::unique_ptr<model::Architecture> architecture;
  std::vector<TensorMap> parts;
};

absl::StatusOr<Model> Load(const std::string& path) {
  absl::StatusOr<std::unique_ptr<Checkpoint>> checkpoint =
      Checkpoint::Open(path);
  if (!checkpoint.ok()) return checkpoint.status();
  auto architecture = model::CreateArchitecture((*checkpoint)->config());
  if (!architecture.ok()) return architecture.status();
  Model model;
  model.architecture = *std::move(architecture);
  std::vector<std::vector<TensorSpec>> parts = {
      model.architecture->EmbeddingTensors()};
  for (int i = 0; i < model.architecture->shape().layers; ++i) {
    parts.push_back(model.architecture->LayerTensors(i));
  }
  parts.push_back(model.architecture->HeadTensors());
  WeightLoader loader(**checkpoint, at::kCPU, at::kFloat);
  for (const std::vector<TensorSpec>& specs : parts) {
    loader.Prefetch({specs, "", {}});
    absl::StatusOr<TensorMap> weights = loader.Take();
    if (!weights.ok()) return weights.status();
    model.parts.push_back(*std::move(weights));
  }
  absl::Status unchanged = (*checkpoint)->CheckUnchanged();
  if (!unchanged.ok()) return unchanged;
  return model;
}

at::Tensor LogitsOf(const Model& model) {
  const auto& shape = model.architecture->shape();
  const int64_t tokens =
      shape.max_positions > 0 ? std::min<int64_t>(24, shape.max_positions) : 24;
  const at::Tensor tokens_BT =
      at::remainder(at::arange(2 * tokens) * 7, shape.vocabulary)
          .view({2, tokens});
  model::NullRecorder recorder;
  at::Tensor x_BTD = model.architecture->Embed(model.parts.front(), tokens_BT);
  for (int i = 0; i < shape.layers; ++i) {
    x_BTD = model.architecture->Block(i, model.parts[i + 1], x_BTD, recorder);
  }
  return model.architecture->Logits(model.parts.back(), x_BTD);
}

void ExpectSame(const Model& read, const Model& want) {
  ASSERT_EQ(read.parts.size(), want.parts.size());
  for (size_t i = 0; i < want.parts.size(); ++i) {
    for (const auto& [name, tensor] : want.parts[i]) {
      const auto found = read.parts[i].find(name);
      ASSERT_NE(found, read.parts[i].end()) << "part " << i << ": no " << name;
      EXPECT_TRUE(at::equal(found->second, tensor))
          << "part " << i << ": " << name << " differs";
    }
    EXPECT_EQ(read.parts[i].size(), want.parts[i].size());
  }
  // Same numbers, same program: not a bit may differ.
  EXPECT_TRUE(at::equal(LogitsOf(read), LogitsOf(want)));
}

struct Form {
  const char* path;
  const char* reference;
};

void PrintTo(const Form& form, std::ostream* out) { *out << form.path; }

class ContainersTest : public ::testing::TestWithParam<Form> {};

TEST_P(ContainersTest, HoldsTheSameWeightsAndMakesTheSameLogits) {
  const auto read = Load(absl::StrCat("tests/data/", GetParam().path));
  ASSERT_TRUE(read.ok()) << read.status();
  const auto want = Load(absl::StrCat("tests/data/", GetParam().reference));
  ASSERT_TRUE(want.ok()) << want.status();
  ExpectSame(*read, *want);
}

INSTANTIATE_TEST_SUITE_P(
    EachForm, ContainersTest,
    ::testing::Values(Form{"containers/hf_sharded", "containers/hf"},
                      Form{"containers/hf_dcp", "containers/hf"},
                      Form{"containers/bin", "containers/hf"},
                      Form{"containers/bin_sharded", "containers/hf"},
                      Form{"containers/olmo_core", "containers/hf"},
                      Form{"containers/olmo_core_4_ranks", "containers/hf"},
                      Form{"containers/olmo_core_1_6", "containers/hf"},
                      Form{"containers/olmo_core_model_only", "containers/hf"},
                      Form{"containers/olmo_core_unsharded", "containers/hf"},
                      Form{"containers/legacy_pt", "containers/hf"},
                      Form{"containers/legacy_safetensors", "containers/hf"},
                      Form{"containers/legacy_dcp", "containers/hf"},
                      Form{"containers/torchtitan", "containers/hf_llama"},
                      Form{"containers/torchtitan_qwen3", "hf/qwen3"},
                      Form{"containers/megatron", "containers/hf_llama"},
                      Form{"containers/megatron_qwen3", "hf/qwen3"},
                      Form{"containers/megatron_qwen3_moe", "hf/qwen3_moe"},
                      Form{"containers/stories260K.bin", "stories260K"}));

// Each golden model of tests/data/hf in each container that a trainer may leave
// a model of any architecture in.
class EveryModelTest : public ::testing::TestWithParam<std::string> {};

std::vector<std::string> GoldenModels() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator("tests/data/hf")) {
    if (!fs::exists(entry.path() / "model.safetensors")) continue;
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::map<std::string, at::Tensor> WeightsOf(const std::string& folder) {
  std::map<std::string, at::Tensor> weights;
  auto opened = Checkpoint::Open(folder);
  EXPECT_TRUE(opened.ok()) << opened.status();
  for (const checkpoint::TensorInfo& tensor : (*opened)->tensors()) {
    auto read = (*opened)->ReadTensor(tensor.name, tensor.shape);
    EXPECT_TRUE(read.ok()) << read.status();
    if (read.ok()) weights[tensor.name] = *std::move(read);
  }
  return weights;
}

TEST_P(EveryModelTest, IsTheSameInEveryContainer) {
  const std::string golden = "tests/data/hf/" + GetParam();
  const auto want = Load(golden);
  ASSERT_TRUE(want.ok()) << want.status();
  const auto weights = WeightsOf(golden);
  for (const Container container : kContainers) {
    SCOPED_TRACE(NameOf(container));
    const base::TempFolder temp;
    WriteAs(container, temp.path(), golden + "/config.json", weights);
    const auto read = Load(temp.path());
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectSame(*read, *want);
  }
}

INSTANTIATE_TEST_SUITE_P(EachGolden, EveryModelTest,
                         ::testing::ValuesIn(GoldenModels()),
                         [](const auto& info) { return info.param; });

TEST(EveryModelListTest, IsNotEmpty) { EXPECT_GE(GoldenModels().size(), 50u); }

// Else equality would show nothing.
TEST(ContainersModelTest, TheTwoModelsDiffer) {
  const auto olmo2 = Load("tests/data/containers/hf");
  const auto llama = Load("tests/data/containers/hf_llama");
  ASSERT_TRUE(olmo2.ok() && llama.ok()) << olmo2.status() << llama.status();
  const at::Tensor logits = LogitsOf(*olmo2);
  EXPECT_GT(logits.std().item<float>(), 0.1f);
  EXPECT_FALSE(at::equal(logits, LogitsOf(*llama)));
  for (const model::TensorMap& part : olmo2->parts) {
    for (const auto& [name, tensor] : part) {
      EXPECT_GT(tensor.std().item<float>(), 0.05f) << name;
    }
  }
}

}  // namespace
}  // namespace sinkwatch

#include "worker/measure/naming_schemes_testing.h"

#include <memory>
#include <utility>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "ATen/ops/cat.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/writer.h"
#include "worker/executor/weight_source.h"
#include "worker/model/recorder.h"
#include "worker/model/registry.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::worker {
namespace {

constexpr char kFolder[] = "tests/data/hf/";

model::TensorMap Load(checkpoint::Checkpoint& checkpoint,
                      const std::vector<model::TensorSpec>& specs) {
  model::TensorMap weights;
  for (const model::TensorSpec& spec : specs) {
    auto read = executor::ReadWeight(checkpoint, spec);
    EXPECT_TRUE(read.ok()) << read.status();
    if (read.ok()) weights[spec.name] = *std::move(read);
  }
  return weights;
}

at::Tensor LogitsOf(const std::string& folder) {
  const at::NoGradGuard no_grad;
  const auto checkpoint = checkpoint::Checkpoint::Open(folder);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto model = model::CreateArchitecture((*checkpoint)->config());
  EXPECT_TRUE(model.ok()) << model.status();
  const auto corpus = probe::Corpus::Read(std::string(kFolder) + "probe");
  model::NullRecorder recorder;
  at::Tensor x_BTD =
      (*model)->Embed(Load(**checkpoint, (*model)->EmbeddingTensors()),
                      corpus->domains()[0].tokens_NT);
  for (int layer = 0; layer < (*model)->shape().layers; ++layer) {
    x_BTD = (*model)->Block(layer,
                            Load(**checkpoint, (*model)->LayerTensors(layer)),
                            x_BTD, recorder);
  }
  return (*model)->Logits(Load(**checkpoint, (*model)->HeadTensors()), x_BTD);
}

}  // namespace

Model Read(const std::string& name) {
  auto opened = checkpoint::Checkpoint::Open(kFolder + name);
  EXPECT_TRUE(opened.ok()) << opened.status();
  Model model;
  model.config = (*opened)->config().json();
  for (const checkpoint::TensorInfo& tensor : (*opened)->tensors()) {
    auto read = (*opened)->ReadTensor(tensor.name, tensor.shape);
    EXPECT_TRUE(read.ok()) << read.status();
    model.weights[tensor.name] = *std::move(read);
  }
  return model;
}

void ExpectSameLogits(const std::string& name, const nlohmann::json& config,
                      const Weights& weights) {
  const base::TempFolder temp;
  ASSERT_TRUE(
      checkpoint::WriteCheckpoint(temp / "step1", config, weights).ok());
  EXPECT_TRUE(LogitsOf(temp / "step1").equal(LogitsOf(kFolder + name)));
}

void ExpectSameLogits(const std::string& name, const Weights& weights) {
  ExpectSameLogits(name, Read(name).config, weights);
}

at::Tensor ByGroup(const nlohmann::json& config, Weights& weights,
                   const std::string& qkv) {
  const int64_t groups = config.at("num_key_value_heads");
  std::vector<at::Tensor> parts;
  for (const char* name : {"wq", "wk", "wv"}) {
    const at::Tensor part =
        weights.extract(absl::StrCat(qkv, name, ".weight")).mapped();
    parts.push_back(part.unflatten(0, {groups, part.size(0) / groups}));
  }
  return at::cat(parts, 1).flatten(0, 1).contiguous();
}

}  // namespace sinkwatch::worker

#include "worker/executor/weight_loader.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"
#include "worker/model/model_testing.h"

namespace sinkwatch::executor {
namespace {

using files::ExpectError;

class WeightLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = checkpoint::Checkpoint::Open(run_.checkpoint());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    checkpoint_ = *std::move(opened);
    llama_ = model::CreateFrom(TinyLlama());
  }

  TinyRun run_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Architecture> llama_;
};

TEST_F(WeightLoaderTest, HandsOverEverySpecUnderItsShortName) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  loader.Prefetch({llama_->LayerTensors(1)});
  const auto weights = loader.Take();
  ASSERT_TRUE(weights.ok()) << weights.status().ToString();
  EXPECT_EQ(weights->size(), llama_->LayerTensors(1).size());
  for (const model::TensorSpec& spec : llama_->LayerTensors(1)) {
    EXPECT_TRUE(
        weights->at(spec.name).equal(run_.weights().at(spec.checkpoint_name())))
        << spec.name;
  }
}

TEST_F(WeightLoaderTest, PartsCanBeTakenOneAfterTheOther) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  loader.Prefetch({llama_->EmbeddingTensors()});
  ASSERT_TRUE(loader.Take().ok());
  loader.Prefetch({llama_->HeadTensors()});
  const auto head = loader.Take();
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->count("lm_head"), 1u);
  EXPECT_GE(loader.waited_seconds(), 0.0);
}

TEST_F(WeightLoaderTest, ConvertsToTheComputeDtype) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kBFloat16);
  loader.Prefetch({llama_->HeadTensors()});
  const auto head = loader.Take();
  ASSERT_TRUE(head.ok());
  for (const auto& [name, tensor] : *head) {
    EXPECT_EQ(tensor.scalar_type(), at::kBFloat16) << name;
  }
}

TEST_F(WeightLoaderTest, MissingTensorIsDataLossByName) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  loader.Prefetch({{{"x", "model.nowhere.weight", {4}}}});
  ExpectError(loader.Take().status(), absl::StatusCode::kDataLoss,
              {"model.nowhere.weight"});
}

TEST_F(WeightLoaderTest, OtherShapeIsDataLossByName) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  loader.Prefetch({{{"norm", "model.norm.weight", {17}}}});
  ExpectError(loader.Take().status(), absl::StatusCode::kDataLoss,
              {"model.norm.weight"});
}

TEST_F(WeightLoaderTest, MayBeDroppedWhileItReads) {
  {
    WeightLoader dropped(*checkpoint_, at::kCPU, at::kFloat);
    dropped.Prefetch({llama_->LayerTensors(0)});
  }
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  loader.Prefetch({llama_->LayerTensors(0)});
  EXPECT_TRUE(loader.Take().ok());
}

}  // namespace
}  // namespace sinkwatch::executor

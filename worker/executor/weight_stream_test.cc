#include "worker/executor/weight_stream.h"

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"
#include "worker/model/model_testing.h"

namespace sinkwatch::executor {
namespace {

using files::ExpectError;

class WeightStreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = checkpoint::Checkpoint::Open(run_.checkpoint());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    checkpoint_ = *std::move(opened);
    llama_ = model::CreateFrom(TinyLlama());
  }

  // The embedding, the layers, the head.
  WeightRequest Part(int64_t part) {
    asked_.push_back(part);
    const int layers = llama_->shape().layers;
    if (part == 0) return {llama_->EmbeddingTensors()};
    if (part > layers) return {llama_->HeadTensors()};
    return {llama_->LayerTensors(static_cast<int>(part) - 1)};
  }
  int64_t parts() const { return llama_->shape().layers + 2; }

  TinyRun run_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Architecture> llama_;
  std::vector<int64_t> asked_;
};

TEST_F(WeightStreamTest, PartsComeInOrderHoweverManyAreReadAhead) {
  for (const int ahead : {1, 2, 5}) {
    SCOPED_TRACE(ahead);
    WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
    WeightStream stream(
        loader, parts(), [&](int64_t part) { return Part(part); }, ahead);
    for (int64_t part = 0; part < parts(); ++part) {
      const auto weights = stream.Next();
      ASSERT_TRUE(weights.ok()) << weights.status().ToString();
      const std::vector<model::TensorSpec> specs = Part(part).specs;
      ASSERT_EQ(weights->size(), specs.size());
      for (const model::TensorSpec& spec : specs) {
        EXPECT_TRUE(weights->at(spec.name).equal(
            run_.weights().at(spec.checkpoint_name())))
            << spec.name;
      }
    }
  }
}

TEST_F(WeightStreamTest, SoManyPartsAreAskedForAheadAndNoneTwice) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  WeightStream stream(
      loader, parts(), [&](int64_t part) { return Part(part); }, 2);
  EXPECT_TRUE(asked_.empty());
  ASSERT_TRUE(stream.Next().ok());
  EXPECT_EQ(asked_, (std::vector<int64_t>{0, 1, 2}));
  for (int64_t part = 1; part < parts(); ++part) {
    ASSERT_TRUE(stream.Next().ok());
  }
  EXPECT_EQ(static_cast<int64_t>(asked_.size()), parts());
}

TEST_F(WeightStreamTest, WhereThereIsNoMemoryFewerAreReadAhead) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  const auto request = [&](int64_t part) {
    // Two parts ahead of the one that computes are one too many.
    if (part == 2 && asked_.size() == 2) {
      asked_.push_back(-1);
      TORCH_CHECK_WITH(OutOfMemoryError, false, "full");
    }
    return Part(part);
  };
  WeightStream stream(loader, parts(), request, 2);
  for (int64_t part = 0; part < parts(); ++part) {
    const auto weights = stream.Next();
    ASSERT_TRUE(weights.ok()) << weights.status().ToString();
  }
  ASSERT_GE(asked_.size(), 4u);
  EXPECT_EQ(asked_[2], -1);
  EXPECT_EQ(asked_[3], 2);
}

TEST_F(WeightStreamTest, NoMemoryForTheNextPartIsThrown) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  WeightStream stream(
      loader, parts(),
      [](int64_t) -> WeightRequest {
        TORCH_CHECK_WITH(OutOfMemoryError, false, "full");
      },
      2);
  EXPECT_THROW(stream.Next(), c10::OutOfMemoryError);
}

TEST_F(WeightStreamTest, APartThatCannotBeReadIsItsOwnError) {
  WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
  WeightStream stream(
      loader, 2,
      [&](int64_t part) {
        if (part == 0) return Part(0);
        return WeightRequest{{{"x", "model.nowhere.weight", {4}}}};
      },
      2);
  EXPECT_TRUE(stream.Next().ok());
  ExpectError(stream.Next().status(), absl::StatusCode::kDataLoss,
              {"model.nowhere.weight"});
}

}  // namespace
}  // namespace sinkwatch::executor

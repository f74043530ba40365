#include "worker/executor/weight_source.h"

#include <memory>
#include <string>

#include "ATen/ops/cat.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/test_files.h"
#include "worker/checkpoint/writer.h"
#include "worker/executor/tiny_run.h"
#include "worker/model/test_model.h"

namespace sinkwatch::executor {
namespace {

using checkpoint::ExpectError;
using model::Arrangement;
using model::TensorSource;
using model::TensorSpec;

// A checkpoint of one matrix "fused", [6,4], element (i, j) = 10 i + j.
class WeightSourceTest : public ::testing::Test {
 protected:
  WeightSourceTest() {
    at::Tensor fused = model::RandomTensor({6, 4}, 1);
    for (int64_t i = 0; i < 6; ++i) {
      for (int64_t j = 0; j < 4; ++j) {
        fused.data_ptr<float>()[4 * i + j] = static_cast<float>(10 * i + j);
      }
    }
    EXPECT_TRUE(checkpoint::WriteCheckpoint(temp_ / "step1",
                                            nlohmann::json::object(),
                                            {{"fused", fused}})
                    .ok());
    auto opened = checkpoint::Checkpoint::Open(temp_ / "step1");
    EXPECT_TRUE(opened.ok()) << opened.status();
    checkpoint_ = *std::move(opened);
    fused_ = fused;
  }

  static TensorSpec Spec(std::vector<int64_t> shape, TensorSource source) {
    TensorSpec spec("w", "own.name", std::move(shape));
    spec.sources.push_back(std::move(source));
    return spec;
  }

  void ExpectRead(const TensorSpec& spec, const at::Tensor& expected) {
    const auto read = ReadWeight(*checkpoint_, spec);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(read->equal(expected)) << *read;
  }

  checkpoint::TempFolder temp_;
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  at::Tensor fused_;
};

TEST_F(WeightSourceTest, TheFirstNameThatIsThereCounts) {
  ExpectRead(Spec({6, 4}, {"fused", {6, 4}}), fused_);
}

TEST_F(WeightSourceTest, RowsOfAFusedMatrixAreCutOut) {
  ExpectRead(Spec({2, 4}, {"fused", {6, 4}, Arrangement::kAsStored, 3}),
             fused_.slice(0, 3, 5));
}

TEST_F(WeightSourceTest, TransposedRowsAreCutBeforeTheyAreTurned) {
  ExpectRead(Spec({4, 3}, {"fused", {6, 4}, Arrangement::kTransposed, 2}),
             fused_.slice(0, 2, 5).t());
}

TEST_F(WeightSourceTest, RotaryPairsAreMovedHalfAHeadApart) {
  // One head of width 6: pairs (0,1), (2,3), (4,5).
  ExpectRead(Spec({6, 4}, {"fused", {6, 4}, Arrangement::kRotaryPairs, 0, 1}),
             at::cat({fused_.slice(0, 0, 6, 2), fused_.slice(0, 1, 6, 2)}));
}

TEST_F(WeightSourceTest, RowsComeInTheOrderOfTheRanges) {
  const TensorSpec spec =
      Spec({5, 4}, {"fused", {6, 4}, Arrangement::kAsStored, 1});
  const auto read = ReadWeightRows(*checkpoint_, spec, {{3, 2}, {0, 1}});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->sizes().vec(), (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(read->slice(0, 0, 2).equal(fused_.slice(0, 4, 6)));
  EXPECT_TRUE(read->slice(0, 2, 3).equal(fused_.slice(0, 1, 2)));
}

TEST_F(WeightSourceTest, AMissingTensorIsNamedInEveryScheme) {
  ExpectError(
      ReadWeight(*checkpoint_, Spec({6, 4}, {"other.name", {6, 4}})).status(),
      absl::StatusCode::kDataLoss, {"own.name", "other.name", "step1"});
}

TEST(CheckWeightsTest, AWholeModelPassesAndAMissingTensorDoesNot) {
  TinyRun run;
  const auto llama = model::CreateFrom(TinyLlama());
  auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(CheckWeights(*llama, **opened).ok());

  model::Weights weights = run.weights();
  weights.erase("model.layers.1.mlp.up_proj.weight");
  run.WriteAgain(weights);
  opened = checkpoint::Checkpoint::Open(run.checkpoint());
  ASSERT_TRUE(opened.ok());
  ExpectError(CheckWeights(*llama, **opened), absl::StatusCode::kDataLoss,
              {"model.layers.1.mlp.up_proj.weight"});
}

}  // namespace
}  // namespace sinkwatch::executor

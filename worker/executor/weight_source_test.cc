#include "worker/executor/weight_source.h"

#include <memory>
#include <sstream>
#include <string>

#include "ATen/ops/cat.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/temp_folder_testing.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "worker/checkpoint/writer.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"
#include "worker/model/model_testing.h"

namespace sinkwatch::executor {
namespace {

using files::ExpectError;
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

  base::TempFolder temp_;
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
  const auto read =
      ReadWeight(*checkpoint_, spec, {WeightPart::kPicked, {{3, 2}, {0, 1}}});
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
              {"model.layers.1.mlp.up_proj.weight", "of 20 that are"});
}

TEST(CheckWeightsTest, NamesBelowAWrapperAreNotCorrupt) {
  TinyRun run;
  model::Weights wrapped;
  for (const auto& [name, tensor] : run.weights()) {
    wrapped["module." + name] = tensor;
  }
  run.WriteAgain(wrapped);
  auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
  ASSERT_TRUE(opened.ok()) << opened.status();
  ExpectError(CheckWeights(*model::CreateFrom(TinyLlama()), **opened),
              absl::StatusCode::kUnimplemented,
              {"step7", "names of tensors", "'module.lm_head.weight'",
               "'model.embed_tokens.weight'"});
}

// What is logged when the copies of a tied output matrix are looked at.
std::string LogOfCopies(const TinyRun& run, const nlohmann::json& config) {
  auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
  EXPECT_TRUE(opened.ok()) << opened.status();
  const auto llama = model::CreateFrom(config);
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_st>(log)));
  EXPECT_TRUE(CheckWeights(*llama, **opened).ok());
  for (const TensorSpec& spec : llama->HeadTensors()) {
    WarnOfOtherCopies(**opened, spec, {{2, 3}, {7, 1}});
  }
  spdlog::set_default_logger(before);
  return log.str();
}

TEST(CheckWeightsTest, ATiedOutputMatrixIsSpokenOfOnlyWhereItDiffers) {
  nlohmann::json tied = TinyLlama();
  tied["tie_word_embeddings"] = true;
  TinyRun run(tied);
  model::Weights weights = run.weights();
  weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone();
  run.WriteAgain(weights);
  EXPECT_EQ(LogOfCopies(run, tied), "");
  weights["lm_head.weight"][3][0] += 1;
  run.WriteAgain(weights);
  EXPECT_NE(LogOfCopies(run, tied).find("lm_head.weight"), std::string::npos);
}

}  // namespace
}  // namespace sinkwatch::executor

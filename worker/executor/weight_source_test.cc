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
  ExpectError(CheckWeights(*llama, **opened).status(),
              absl::StatusCode::kDataLoss,
              {"model.layers.1.mlp.up_proj.weight", "of 20 that are"});
}

absl::StatusOr<UnusedTensors> CheckTiny(const TinyRun& run) {
  auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
  if (!opened.ok()) return opened.status();
  return CheckWeights(*model::CreateFrom(TinyLlama()), **opened);
}

TEST(CheckWeightsTest, PartsOfWrappersInNamesDoNotMatter) {
  TinyRun run;
  model::Weights wrapped;
  for (const auto& [name, tensor] : run.weights()) {
    wrapped["module._orig_mod." + name] = tensor;
  }
  run.WriteAgain(wrapped);
  const auto unused = CheckTiny(run);
  ASSERT_TRUE(unused.ok()) << unused.status();
  EXPECT_EQ(unused->count, 0);
}

TEST(CheckWeightsTest, NamesOfAnotherSchemeAreNotCorrupt) {
  TinyRun run;
  model::Weights others;
  for (const auto& [name, tensor] : run.weights()) {
    others["net_" + name] = tensor;
  }
  run.WriteAgain(others);
  ExpectError(CheckTiny(run).status(), absl::StatusCode::kUnimplemented,
              {"step7", "names of tensors", "'net_lm_head.weight'",
               "'model.embed_tokens.weight'"});
  // Nor are those of one part.
  others = run.weights();
  others["model.layers.0.mlp.gate_up_proj.weight"] =
      others["model.layers.0.mlp.up_proj.weight"];
  others.erase("model.layers.0.mlp.up_proj.weight");
  run.WriteAgain(others);
  ExpectError(CheckTiny(run).status(), absl::StatusCode::kUnimplemented,
              {"'model.layers.0.mlp.up_proj.weight'",
               "'model.layers.0.mlp.gate_up_proj.weight'"});
}

TEST(CheckWeightsTest, TensorsThatTheModelDoesNotUseAreCounted) {
  TinyRun run;
  model::Weights weights = run.weights();
  const at::Tensor any = weights["model.norm.weight"];
  for (int i = 0; i < 7; ++i) weights["mtp.head" + std::to_string(i)] = any;
  weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = any;
  run.WriteAgain(weights);
  const auto unused = CheckTiny(run);
  ASSERT_TRUE(unused.ok()) << unused.status();
  EXPECT_EQ(unused->count, 7);
  EXPECT_EQ(unused->first.size(), 5u);
  EXPECT_EQ(unused->first[0], "mtp.head0");
}

TEST(CheckWeightsTest, ALayerAboveTheConfigsNumberIsOfAnotherModel) {
  TinyRun run;
  model::Weights weights = run.weights();
  weights["model.layers.2.mlp.up_proj.weight"] =
      weights["model.layers.1.mlp.up_proj.weight"];
  run.WriteAgain(weights);
  ExpectError(
      CheckTiny(run).status(), absl::StatusCode::kDataLoss,
      {"'model.layers.2.mlp.up_proj.weight'", "larger model", "2 layers"});
}

// An output matrix that the config ties to the embedding, as it is read, and
// what is logged of it.
std::string LogOfTied(const TinyRun& run, const nlohmann::json& config,
                      at::Tensor* output) {
  auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
  EXPECT_TRUE(opened.ok()) << opened.status();
  const auto llama = model::CreateFrom(config);
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_st>(log)));
  const auto unused = CheckWeights(*llama, **opened);
  EXPECT_TRUE(unused.ok() && unused->count == 0) << unused.status();
  for (const TensorSpec& spec : llama->HeadTensors()) {
    WarnIfNotTied(**opened, spec, {{2, 3}, {7, 1}});
    if (spec.name != "lm_head") continue;
    const auto read = ReadWeight(**opened, spec);
    EXPECT_TRUE(read.ok()) << read.status();
    if (read.ok()) *output = *read;
  }
  spdlog::set_default_logger(before);
  return log.str();
}

TEST(TiedWeightsTest, OneMatrixCountsUnderEitherNameAndTwoAreTwo) {
  nlohmann::json tied = TinyLlama();
  tied["tie_word_embeddings"] = true;
  TinyRun run(tied);
  model::Weights weights = run.weights();
  const at::Tensor table = weights["model.embed_tokens.weight"];
  at::Tensor output;
  EXPECT_EQ(LogOfTied(run, tied, &output), "");
  EXPECT_TRUE(output.equal(table));

  weights["lm_head.weight"] = table.clone();
  run.WriteAgain(weights);
  EXPECT_EQ(LogOfTied(run, tied, &output), "");
  EXPECT_TRUE(output.equal(table));

  weights["lm_head.weight"][3][0] += 1;
  run.WriteAgain(weights);
  EXPECT_NE(LogOfTied(run, tied, &output).find("lm_head.weight"),
            std::string::npos);
  EXPECT_TRUE(output.equal(weights["lm_head.weight"]));

  weights.erase("model.embed_tokens.weight");
  run.WriteAgain(weights);
  EXPECT_EQ(LogOfTied(run, tied, &output), "");
  auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
  ASSERT_TRUE(opened.ok());
  const auto embedding =
      ReadWeight(**opened, model::CreateFrom(tied)->EmbeddingTensors()[0]);
  ASSERT_TRUE(embedding.ok()) << embedding.status();
  EXPECT_TRUE(embedding->equal(output));
}

// "stack", [3,4,2], element (i, j, k) = 100 i + 10 j + k.
TEST(StackTest, RowsOfOneTensorOfAStackAreCutOutInRuns) {
  base::TempFolder temp;
  at::Tensor stack = model::RandomTensor({3, 4, 2}, 1);
  for (int64_t i = 0; i < 24; ++i) {
    stack.data_ptr<float>()[i] =
        static_cast<float>(100 * (i / 8) + 10 * (i / 2 % 4) + i % 2);
  }
  ASSERT_TRUE(checkpoint::WriteCheckpoint(
                  temp / "step1", nlohmann::json::object(), {{"stack", stack}})
                  .ok());
  auto opened = checkpoint::Checkpoint::Open(temp / "step1");
  ASSERT_TRUE(opened.ok()) << opened.status();
  TensorSource source{"stack", {3, 4, 2}, Arrangement::kAsStored, 1};
  source.slab = {2};
  TensorSpec spec("w", "own.name", {2, 2});
  spec.sources = {source};
  auto read = ReadWeight(**opened, spec);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->equal(stack[2].slice(0, 1, 3)));

  spec.sources[0].first_row = 0;
  spec.sources[0].runs = 2;
  spec.sources[0].run_stride = 3;
  read = ReadWeight(**opened, spec);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(
      read->equal(at::cat({stack[2].slice(0, 0, 1), stack[2].slice(0, 3, 4)})));
  const auto slice = ReadWeight(**opened, spec, {WeightPart::kSlice, {{1, 1}}});
  ASSERT_TRUE(slice.ok()) << slice.status();
  EXPECT_TRUE(slice->equal(stack[2].slice(0, 3, 4)));

  // A stack of stacks.
  source = {"stack", {3, 4, 2}};
  source.slab = {1, 3};
  spec = TensorSpec("w", "own.name", {2});
  spec.sources = {source};
  read = ReadWeight(**opened, spec);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->equal(stack[1][3]));
}

}  // namespace
}  // namespace sinkwatch::executor

// Tiny random models of Hugging Face transformers (tests/data/hf): the logits
// of a float64 forward pass there, and every metric computed from its eager
// attentions, against ours in float32 on the CPU.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/sha256.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/weight_loader.h"
#include "worker/measure/measure.h"
#include "worker/model/recorder.h"
#include "worker/model/registry.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::worker {
namespace {

using Json = nlohmann::json;

constexpr char kFolder[] = "tests/data/hf/";
// Logits have a deviation of 1 to 3. A rounding of float32 is 6e-8 of a value,
// some hundred of them add up in a layer, and attention passes them on.
constexpr double kLogitTolerance = 1e-4;
constexpr double kRelative = 1e-4, kAbsolute = 1e-5;

std::vector<std::string> Cases() {
  std::set<std::string> cases;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (std::filesystem::exists(entry.path() / "golden.json")) {
      cases.insert(entry.path().filename());
    }
  }
  return {cases.begin(), cases.end()};
}

Json GoldenOf(const std::string& name) {
  return Json::parse(std::ifstream(kFolder + name + "/golden.json"));
}

// Opened, created and ready to run; the test fails otherwise.
class GoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto opened = checkpoint::Checkpoint::Open(kFolder + GetParam());
    ASSERT_TRUE(opened.ok()) << opened.status();
    checkpoint_ = *std::move(opened);
    auto created = model::CreateArchitecture(checkpoint_->config());
    ASSERT_TRUE(created.ok()) << created.status();
    architecture_ = *std::move(created);
  }

  model::TensorMap Load(const std::vector<model::TensorSpec>& specs) {
    executor::WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
    loader.Prefetch({specs, "", {}});
    auto loaded = loader.Take();
    if (!loaded.ok()) ADD_FAILURE() << loaded.status();
    return loaded.ok() ? *std::move(loaded) : model::TensorMap();
  }

  at::Tensor Logits(const at::Tensor& tokens_BT) {
    const at::NoGradGuard no_grad;
    model::NullRecorder recorder;
    at::Tensor x_BTD = architecture_->Embed(
        Load(architecture_->EmbeddingTensors()), tokens_BT);
    for (int layer = 0; layer < architecture_->shape().layers; ++layer) {
      x_BTD = architecture_->Block(
          layer, Load(architecture_->LayerTensors(layer)), x_BTD, recorder);
    }
    return architecture_->Logits(Load(architecture_->HeadTensors()), x_BTD);
  }

  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Architecture> architecture_;
};

TEST_P(GoldenTest, LogitsAreThoseOfTransformers) {
  const Json golden = GoldenOf(GetParam());
  EXPECT_EQ(architecture_->shape().architecture, golden.at("architecture"));
  const auto corpus = probe::Corpus::Read(std::string(kFolder) + "probe");
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  for (const probe::Domain& domain : corpus->domains()) {
    const at::Tensor logits = Logits(domain.tokens_NT).contiguous();
    const auto& expected = golden.at("logits").at(domain.label);
    ASSERT_EQ(logits.numel(), static_cast<int64_t>(expected.size()));
    double most = 0;
    for (int64_t i = 0; i < logits.numel(); ++i) {
      const double difference =
          std::fabs(logits.data_ptr<float>()[i] - expected[i].get<double>());
      ASSERT_FALSE(std::isnan(difference)) << i;
      most = std::max(most, difference);
    }
    EXPECT_LT(most, kLogitTolerance) << domain.label;
    RecordProperty("largest_difference_" + domain.label, std::to_string(most));
  }
}

// Domain, metric, layer; -2 for what belongs to no layer.
using Key = std::tuple<std::string, std::string, int>;

std::map<Key, std::vector<double>> ExpectedMetrics(const Json& golden) {
  std::map<Key, std::vector<double>> expected;
  for (const Json& entry : golden.at("measurements")) {
    const int layer = entry[2].is_null() ? -2 : entry[2].get<int>();
    expected[{entry[0], entry[1], layer}] = entry[3].get<std::vector<double>>();
  }
  return expected;
}

std::map<Key, std::vector<double>> MeasuredMetrics(const std::string& name) {
  MeasureRequest request;
  request.checkpoint = kFolder + name;
  request.probe = std::string(kFolder) + "probe";
  std::map<Key, std::vector<double>> measured;
  MeasureCallbacks callbacks;
  callbacks.on_values = [&](const std::vector<metrics::MetricVector>& vectors) {
    for (const metrics::MetricVector& vector : vectors) {
      measured[{vector.domain, vector.metric, vector.layer.value_or(-2)}] = {
          vector.values.begin(), vector.values.end()};
    }
    return absl::OkStatus();
  };
  const auto summary = Measure(request, callbacks);
  EXPECT_TRUE(summary.ok()) << summary.status();
  return measured;
}

bool IsNear(double value, double expected) {  // false for a NaN
  return std::fabs(value - expected) <=
         std::max(kAbsolute, kRelative * std::fabs(expected));
}

TEST_P(GoldenTest, EveryMetricIsThatOfTheAttentionsOfTransformersAndNoOther) {
  const auto expected = ExpectedMetrics(GoldenOf(GetParam()));
  const auto measured = MeasuredMetrics(GetParam());
  for (const auto& [key, values] : measured) {
    const auto& [domain, metric, layer] = key;
    EXPECT_EQ(expected.count(key), 1u)
        << "not expected: " << domain << " " << metric << " " << layer;
  }
  for (const auto& [key, values] : expected) {
    const auto& [domain, metric, layer] = key;
    SCOPED_TRACE(domain + " " + metric + " " + std::to_string(layer));
    const auto found = measured.find(key);
    if (found == measured.end()) {
      ADD_FAILURE() << "was not measured";
      continue;
    }
    ASSERT_EQ(found->second.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_PRED2(IsNear, found->second[i], values[i]) << "element " << i;
    }
  }
}

// Of checkpoints in bfloat16, which float32 holds exactly.
TEST_P(GoldenTest, TensorsAreReadExactly) {
  const Json golden = GoldenOf(GetParam());
  if (!golden.contains("sha256_float32")) GTEST_SKIP() << "stored in float32";
  for (const auto& [name, digest] : golden.at("sha256_float32").items()) {
    const auto* info = checkpoint_->Find(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_NE(info->dtype, at::kFloat) << name;
    const at::Tensor tensor =
        Load({model::TensorSpec("tensor", name, info->shape)}).at("tensor");
    const auto* bytes = static_cast<const char*>(tensor.const_data_ptr());
    EXPECT_EQ(base::Sha256Hex({bytes, tensor.nbytes()}), digest) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param; });

TEST(GoldenCoverageTest, EveryArchitectureHasACase) {
  // Not of transformers: tests/data/toy has its golden values.
  std::set<std::string> covered = {"BigramBackcopyForCausalLM"};
  for (const std::string& name : Cases()) {
    covered.insert(GoldenOf(name).at("architecture"));
  }
  for (const std::string& architecture : model::ArchitectureNames()) {
    EXPECT_EQ(covered.count(architecture), 1u)
        << architecture << " has no case in " << kFolder;
  }
}

TEST(GoldenCoverageTest, SomeCaseIsStoredInBfloat16) {
  bool found = false;
  for (const std::string& name : Cases()) {
    found = found || GoldenOf(name).contains("sha256_float32");
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace sinkwatch::worker

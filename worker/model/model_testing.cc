#include "worker/model/model_testing.h"

#include <cmath>
#include <random>

#include "ATen/TensorOperators.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/config/config.h"
#include "worker/model/registry.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kTokens = 7;  // odd on purpose

// float32 against float64 over a few layers of values around 1: a rounding is
// 6e-8 and a few hundred of them add up.
constexpr double kTolerance = 1e-4;

std::vector<TensorSpec> AllTensors(const Architecture& architecture) {
  std::vector<TensorSpec> all = architecture.EmbeddingTensors();
  for (int layer = 0; layer < architecture.shape().layers; ++layer) {
    for (TensorSpec& spec : architecture.LayerTensors(layer)) {
      all.push_back(std::move(spec));
    }
  }
  for (TensorSpec& spec : architecture.HeadTensors()) {
    all.push_back(std::move(spec));
  }
  return all;
}

std::vector<int64_t> IdsOf(const at::Tensor& tokens_T) {
  const at::Tensor flat = tokens_T.contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

const TensorSource& SourceIn(const Weights& weights, const TensorSpec& spec) {
  for (const TensorSource& source : spec.sources) {
    if (weights.count(source.name) != 0) return source;
  }
  return spec.sources.front();
}

at::Tensor Arranged(const TensorSource& source, const Weights& weights,
                    const TensorSpec& spec) {
  at::Tensor stored = weights.at(source.name);
  EXPECT_EQ(stored.sizes().vec(), source.shape) << source.name;
  for (int64_t index : source.slab) stored = stored.select(0, index);
  const bool transposed = source.arrangement == Arrangement::kTransposed;
  EXPECT_TRUE(transposed || source.arrangement == Arrangement::kAsStored);
  const at::Tensor rows =
      stored.narrow(0, source.first_row, spec.shape.at(transposed ? 1 : 0));
  return transposed ? rows.t().contiguous() : rows;
}

// A fixed mix of all logits: what the gradient is taken of.
double PlainMix(const Matrix& logits, const Matrix& mix) {
  double sum = 0;
  for (size_t i = 0; i < mix.values.size(); ++i) {
    sum += logits.values[i] * mix.values[i];
  }
  return sum;
}

}  // namespace

at::Tensor RandomTensor(std::vector<int64_t> shape, unsigned seed,
                        double deviation) {
  std::mt19937 source(seed);
  std::normal_distribution<double> normal(0.0, deviation);
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* const values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(normal(source));
  }
  return tensor;
}

at::Tensor RandomTokens(int64_t sequences, int64_t length, int64_t vocabulary,
                        unsigned seed) {
  std::mt19937 source(seed);
  at::Tensor tokens_BT = at::empty({sequences, length}, at::kLong);
  int64_t* const ids = tokens_BT.data_ptr<int64_t>();
  for (int64_t i = 0; i < tokens_BT.numel(); ++i)
    ids[i] = source() % vocabulary;
  return tokens_BT;
}

std::unique_ptr<Architecture> CreateFrom(const nlohmann::json& config) {
  const auto parsed = checkpoint::Config::Parse("config.json", config.dump());
  EXPECT_TRUE(parsed.ok()) << parsed.status().ToString();
  auto architecture = CreateArchitecture(*parsed);
  EXPECT_TRUE(architecture.ok()) << architecture.status().ToString();
  return architecture.ok() ? *std::move(architecture) : nullptr;
}

Weights RandomWeights(const Architecture& architecture, unsigned seed) {
  Weights weights;
  for (const TensorSpec& spec : AllTensors(architecture)) {
    if (spec.constant) continue;
    at::Tensor tensor = RandomTensor(spec.sources.front().shape, ++seed, 0.5);
    const bool norm = spec.name.find("norm") != std::string::npos &&
                      spec.name.find("bias") == std::string::npos;
    weights[spec.checkpoint_name()] = norm ? tensor * 0.5 + 1 : tensor;
  }
  return weights;
}

TensorMap Pick(const std::vector<TensorSpec>& specs, const Weights& weights) {
  TensorMap picked;
  for (const TensorSpec& spec : specs) {
    if (spec.constant && weights.count(spec.checkpoint_name()) == 0) {
      picked[spec.name] = at::full(spec.shape, *spec.constant, at::kFloat);
      continue;
    }
    picked[spec.name] = Arranged(SourceIn(weights, spec), weights, spec);
    EXPECT_EQ(picked[spec.name].sizes().vec(), spec.shape) << spec.name;
  }
  return picked;
}

PlainWeights PlainOfWeights(const Weights& weights) {
  PlainWeights plain;
  for (const auto& [name, tensor] : weights) plain[name] = PlainOf(tensor);
  return plain;
}

std::vector<int64_t> KeepingRecorder::ShapeOf(int layer, Point point) const {
  const auto found = seen.find({layer, point});
  if (found == seen.end() || found->second.size() != 1) return {};
  return found->second[0].sizes().vec();
}

at::Tensor Forward(const Architecture& architecture, const Weights& weights,
                   const at::Tensor& tokens_BT, Recorder& recorder) {
  at::Tensor x_BTD = architecture.Embed(
      Pick(architecture.EmbeddingTensors(), weights), tokens_BT);
  for (int layer = 0; layer < architecture.shape().layers; ++layer) {
    x_BTD = architecture.Block(layer,
                               Pick(architecture.LayerTensors(layer), weights),
                               x_BTD, recorder);
  }
  return architecture.Logits(Pick(architecture.HeadTensors(), weights), x_BTD);
}

at::Tensor Forward(const Architecture& architecture, const Weights& weights,
                   const at::Tensor& tokens_BT) {
  NullRecorder recorder;
  return Forward(architecture, weights, tokens_BT, recorder);
}

void ExpectForwardEquals(const nlohmann::json& config,
                         const PlainForward& plain) {
  const auto architecture = CreateFrom(config);
  ASSERT_NE(architecture, nullptr);
  const Weights weights = RandomWeights(*architecture, 1);
  const at::Tensor tokens_BT =
      RandomTokens(2, kTokens, architecture->shape().vocabulary, 2);
  const at::Tensor logits_BTV = Forward(*architecture, weights, tokens_BT);
  for (int64_t b = 0; b < 2; ++b) {
    const Matrix expected =
        plain(PlainOfWeights(weights), IdsOf(tokens_BT.select(0, b)));
    EXPECT_LT(MaxDifference(PlainOf(logits_BTV.select(0, b)), expected),
              kTolerance);
  }
}

void ExpectGradientEquals(const nlohmann::json& config, const std::string& name,
                          const PlainForward& plain) {
  const auto architecture = CreateFrom(config);
  ASSERT_NE(architecture, nullptr);
  Weights weights = RandomWeights(*architecture, 3);
  for (auto& entry : weights) entry.second.set_requires_grad(true);
  const at::Tensor tokens_BT =
      RandomTokens(1, kTokens, architecture->shape().vocabulary, 4);
  const at::Tensor logits_TV =
      Forward(*architecture, weights, tokens_BT).squeeze(0);
  const at::Tensor mix_TV = RandomTensor(logits_TV.sizes().vec(), 5);
  (logits_TV * mix_TV).sum().backward();
  for (const auto& [key, tensor] : weights) {
    EXPECT_TRUE(tensor.grad().defined()) << key;
  }

  // Central difference in float64: its own error is about h^2 = 1e-10.
  const double h = 1e-5;
  const std::vector<int64_t> ids = IdsOf(tokens_BT);
  const auto mixed = [&](double step) {
    PlainWeights moved = PlainOfWeights(weights);
    moved.at(name).values[1] += step;
    return PlainMix(plain(moved, ids), PlainOf(mix_TV));
  };
  const double slope = (mixed(h) - mixed(-h)) / (2 * h);
  const double gradient = PlainOf(weights.at(name).grad()).values[1];
  EXPECT_GT(std::fabs(slope), 1e-3) << "the test would see nothing";
  EXPECT_NEAR(gradient, slope, 1e-3 * std::max(1.0, std::fabs(slope)));
}

}  // namespace sinkwatch::model

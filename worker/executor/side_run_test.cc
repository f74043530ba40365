// Side runs against checkpoints whose weights were edited on disk and measured
// as they are. Against a second program: worker/measure/on_request_test.cc.
#include "worker/executor/side_run.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/executor.h"
#include "worker/executor/quantized_run.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/model/model_testing.h"

namespace sinkwatch::executor {
namespace {

using metrics::MetricVector;

// By metric, domain and layer; -9 without one.
using Values =
    std::map<std::tuple<std::string, std::string, int>, MetricVector>;

absl::StatusOr<Values> TryMeasure(const TinyRun& run,
                                  const std::vector<std::string>& metrics,
                                  int64_t tokens_per_batch = 8192) {
  auto checkpoint = *checkpoint::Checkpoint::Open(run.checkpoint());
  const auto architecture = model::CreateFrom(checkpoint->config().json());
  const auto corpus = *probe::Corpus::Read(run.probe());
  ExecuteOptions options;
  options.metrics = metrics;
  options.tokens_per_batch = tokens_per_batch;
  Values values;
  ExecuteCallbacks callbacks;
  callbacks.on_values = [&](std::vector<MetricVector> vectors) {
    for (MetricVector& vector : vectors) {
      const auto key = std::make_tuple(vector.metric, vector.domain,
                                       vector.layer.value_or(-9));
      EXPECT_TRUE(values.emplace(key, std::move(vector)).second);
    }
    return absl::OkStatus();
  };
  const auto done =
      Execute(*architecture, *checkpoint, corpus, options, callbacks);
  if (!done.ok()) return done.status();
  return values;
}

Values Measure(const TinyRun& run, const std::vector<std::string>& metrics,
               int64_t tokens_per_batch = 8192) {
  auto values = TryMeasure(run, metrics, tokens_per_batch);
  EXPECT_TRUE(values.ok()) << values.status();
  return values.ok() ? *std::move(values) : Values();
}

double Loss(const TinyRun& run, const std::string& domain) {
  return Measure(run, {"probe_loss"}).at({"probe_loss", domain, -9}).values[0];
}

// Two float32 passes of a model whose losses are around 3.
constexpr double kNear = 1e-5;

TEST(LayerSkipTest, IsTheLossOfACheckpointWhosePartWritesNothing) {
  for (const auto& [part, weight] :
       {std::pair("attn", "self_attn.o_proj.weight"),
        std::pair("mlp", "mlp.down_proj.weight")}) {
    TinyRun run;
    const std::string metric =
        std::string("layer_skip_") + part + "_delta_loss";
    const Values values = Measure(run, {metric});
    const double plain = Loss(run, "plain");
    for (int layer : {0, 1}) {
      model::Weights edited = run.weights();
      at::Tensor& written =
          edited.at("model.layers." + std::to_string(layer) + "." + weight);
      written = at::zeros_like(written);
      run.WriteAgain(edited);
      const MetricVector& delta = values.at({metric, "plain", layer});
      EXPECT_NEAR(delta.values[0], Loss(run, "plain") - plain, kNear);
      EXPECT_EQ(delta.count, kTinySequences * (kTinyTokens - 1));
      EXPECT_GT(delta.standard_error[0], 0);
      EXPECT_GT(std::fabs(delta.values[0]), 1e-3) << "nothing was skipped";
    }
  }
}

TEST(LayerSkipTest, WatchesTheLayersBehindIt) {
  TinyRun run;
  const std::vector<std::string> watched = {
      "sink_attention", "value_norm_ratio", "residual_norm_sink"};
  std::vector<std::string> metrics;
  for (const std::string& name : watched) {
    metrics.push_back("layer_skip_mlp_" + name);
  }
  const Values values = Measure(run, metrics);
  const Values plain = Measure(run, watched);
  model::Weights edited = run.weights();
  at::Tensor& written = edited.at("model.layers.0.mlp.down_proj.weight");
  written = at::zeros_like(written);
  run.WriteAgain(edited);
  const Values changed = Measure(run, watched);
  const auto mean = [](const Values& all, const std::string& name, int first) {
    double sum = 0, count = 0;
    for (int layer = first; layer < 2; ++layer) {
      for (float value : all.at({name, "plain", layer}).values) {
        sum += value;
        ++count;
      }
    }
    return sum / count;
  };
  for (const std::string& name : watched) {
    const int first = name == "residual_norm_sink" ? 0 : 1;
    const MetricVector& found =
        values.at({"layer_skip_mlp_" + name, "plain", 0});
    EXPECT_NEAR(found.values[0],
                mean(changed, name, first) - mean(plain, name, first), kNear)
        << name;
    // Behind the last layer there is only its own output.
    EXPECT_EQ(values.count({"layer_skip_mlp_" + name, "plain", 1}),
              name == "residual_norm_sink" ? 1u : 0u)
        << name;
  }
}

TEST(RoundedToBitsTest, HasALevelForEachPartAndRunsOfItsOwn) {
  // 131 columns: a run of 128 and one of three.
  at::Tensor weight = at::zeros({2, 131});
  weight[0][0] = 7.f;
  weight[0][1] = 3.4f;
  weight[0][2] = -3.6f;
  weight[0][128] = 0.7f;
  weight[0][129] = 0.26f;
  const at::Tensor rounded = RoundedToBits(weight, 4);
  EXPECT_FLOAT_EQ(rounded[0][0].item<float>(), 7);
  EXPECT_FLOAT_EQ(rounded[0][1].item<float>(), 3);
  EXPECT_FLOAT_EQ(rounded[0][2].item<float>(), -4);
  EXPECT_FLOAT_EQ(rounded[0][128].item<float>(), 0.7f);
  EXPECT_FLOAT_EQ(rounded[0][129].item<float>(), 0.3f);
  EXPECT_TRUE(rounded[1].eq(0).all().item<bool>());
  EXPECT_EQ(rounded.sizes(), weight.sizes());
}

TEST(QuantizedRunTest, IsTheLossOfACheckpointOfRoundedMatrices) {
  TinyRun run;
  const Values values = Measure(run, {"quant_delta_w4", "quant_delta_w8"});
  for (int bits : {4, 8}) {
    const std::string metric = "quant_delta_w" + std::to_string(bits);
    model::Weights edited = run.weights();
    for (auto& [name, weight] : edited) {
      if (name.rfind("model.layers.", 0) == 0 && weight.dim() == 2) {
        weight = RoundedToBits(weight, bits);
      }
    }
    TinyRun rounded;
    rounded.WriteAgain(edited);
    const MetricVector& delta = values.at({metric, "plain", -9});
    EXPECT_NEAR(delta.values[0],
                Loss(rounded, "plain") / Loss(run, "plain") - 1, kNear);
    EXPECT_GT(std::fabs(delta.values[0]), bits == 4 ? 1e-4 : 1e-6);
  }
}

TEST(LensTest, EndsWithWhatTheModelSays) {
  TinyRun run;
  const Values values = Measure(run, {"lens_ce", "lens_entropy", "lens_kl"});
  for (int layer : {-1, 0, 1}) {
    const double entropy =
        values.at({"lens_entropy", "plain", layer}).values[0];
    EXPECT_GT(entropy, 0);
    EXPECT_LT(entropy, std::log(kTinyVocabulary));
    const double kl = values.at({"lens_kl", "plain", layer}).values[0];
    if (layer == 1) {
      EXPECT_NEAR(kl, 0, 1e-6);
    } else {
      EXPECT_GT(kl, 1e-3);
    }
  }
  // 12 rows have a next token, 8 are taken.
  EXPECT_EQ(values.at({"lens_ce", "plain", 1}).count, kTinySequences * 8);
}

// All rows are picked where there are no more than that.
TEST(LensTest, TheLastLayersLossIsTheModels) {
  TinyRun run;
  run.WriteProbeAgain(kTinyVocabulary, 9);
  const Values values = Measure(run, {"lens_ce", "probe_loss"});
  EXPECT_NEAR(values.at({"lens_ce", "plain", 1}).values[0],
              values.at({"probe_loss", "plain", -9}).values[0], kNear);
}

TEST(SelectivityRunTest, IsOfADomainOfItsOwnAndOfAllHeads) {
  TinyRun run;
  const Values values =
      Measure(run, {"selectivity_first", "selectivity_mass_first"});
  for (int layer : {0, 1}) {
    const MetricVector& first =
        values.at({"selectivity_first", "synthetic", layer});
    EXPECT_EQ(first.values.size(), 4u);
    EXPECT_EQ(first.count, 500);
    EXPECT_EQ(values.count({"selectivity_mass_first", "synthetic", layer}), 1u);
    EXPECT_EQ(values.count({"selectivity_null", "synthetic", layer}), 0u);
    EXPECT_EQ(values.count({"selectivity_first", "plain", layer}), 0u);
  }
}

TEST(SelectivityRunTest, DoesNotDependOnBatches) {
  TinyRun run;
  const Values whole = Measure(run, {"selectivity_induction"}, 1 << 20);
  const Values parts = Measure(run, {"selectivity_induction"}, 100);
  for (const auto& [key, vector] : whole) {
    for (size_t h = 0; h < vector.values.size(); ++h) {
      EXPECT_NEAR(parts.at(key).values[h], vector.values[h],
                  1e-5 * std::fabs(vector.values[h]));
    }
  }
}

TEST(SideRunTest, TheMeasurementItselfStaysToTheBit) {
  TinyRun run;
  const Values alone = Measure(run, {"default"});
  const Values beside =
      Measure(run, {"default", "selectivity_first", "quant_delta_w8", "lens_ce",
                    "layer_skip_mlp_delta_loss"});
  EXPECT_GT(beside.size(), alone.size());
  for (const auto& [key, vector] : alone) {
    EXPECT_EQ(beside.at(key).values, vector.values) << std::get<0>(key);
  }
}

}  // namespace
}  // namespace sinkwatch::executor

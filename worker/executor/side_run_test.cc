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
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/executor.h"
#include "worker/executor/head_attribution_run.h"
#include "worker/executor/picked_stream.h"
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

// What a head writes is scaled on disk, and the loss measured as it is.
TEST(HeadAttributionTest, IsMinusTheSlopeOfTheLossAsTheHeadIsScaled) {
  TinyRun run;
  const Values values = Measure(run, {"head_attribution"});
  constexpr double kStep = 1.0 / 32;
  double largest = 0;
  for (const auto& [layer, head] : {std::pair(0, 1), std::pair(1, 3)}) {
    const auto loss = [&, layer = layer, head = head](double factor) {
      model::Weights edited = run.weights();
      at::Tensor& projection = edited.at(
          "model.layers." + std::to_string(layer) + ".self_attn.o_proj.weight");
      projection = projection.clone();
      projection.slice(1, 4 * head, 4 * head + 4).mul_(factor);
      TinyRun scaled;
      scaled.WriteAgain(edited);
      return Loss(scaled, "plain");
    };
    const double slope = (8 * (loss(1 + kStep) - loss(1 - kStep)) -
                          (loss(1 + 2 * kStep) - loss(1 - 2 * kStep))) /
                         (12 * kStep);
    const MetricVector& found = values.at({"head_attribution", "plain", layer});
    ASSERT_EQ(found.values.size(), 4u);
    EXPECT_NEAR(found.values[head], -slope, 1e-4);
    EXPECT_EQ(found.count, kTinySequences * (kTinyTokens - 1));
    largest = std::max(largest, std::fabs(slope));
  }
  EXPECT_GT(largest, 1e-2) << "the test would see nothing";
}

TEST(HeadAttributionTest, DoesNotDependOnBatches) {
  TinyRun run;
  const std::vector<std::string> both = {"head_attribution",
                                         "head_attribution_size"};
  const Values whole = Measure(run, both);
  const Values parts = Measure(run, both, 1);
  EXPECT_EQ(whole.size(), parts.size());
  for (const auto& [key, vector] : whole) {
    for (size_t h = 0; h < vector.values.size(); ++h) {
      EXPECT_NEAR(parts.at(key).values[h], vector.values[h], 1e-6);
    }
  }
}

// Forward and back through a model in memory, no more than so many bytes of
// what enters its layers kept.
std::vector<MetricVector> Attribute(const model::Architecture& architecture,
                                    const model::Weights& weights,
                                    const std::vector<PickedDomain>& domains,
                                    int64_t max_kept_bytes,
                                    const char* metric = "head_attribution") {
  PickedStream plain(architecture, domains, at::kCPU);
  HeadAttributionRun run(architecture, domains, {metric}, 8192, plain,
                         max_kept_bytes);
  const int layers = architecture.shape().layers;
  const auto layer_weights = [&](int layer) {
    return model::Pick(architecture.LayerTensors(layer), weights);
  };
  plain.Begin(
      {architecture.Embed(model::Pick(architecture.EmbeddingTensors(), weights),
                          domains[0].tokens_PT)});
  for (int layer = 0; layer < layers; ++layer) {
    run.RunLayer(layer, layer_weights(layer));
    EXPECT_TRUE(plain.RunLayer(layer, layer_weights(layer)).ok());
  }
  const model::TensorMap head =
      model::Pick(architecture.HeadTensors(), weights);
  plain.AddHeadSlice(head, 0);
  run.AddHeadSliceBack(head, 0);
  for (int layer = layers - 1; layer >= 0; --layer) {
    run.RunLayerBack(layer, layer_weights(layer));
  }
  auto values = run.Finish();
  EXPECT_TRUE(values.ok()) << values.status();
  return *std::move(values);
}

// Of one sequence there is nothing that cancels.
TEST(HeadAttributionTest, TheSizeOfOneSequenceIsThatOfItsSlope) {
  const auto architecture = model::CreateFrom(TinyLlama());
  const model::Weights weights = model::RandomWeights(*architecture, 1);
  const std::vector<PickedDomain> one = {
      {"d", model::RandomTokens(1, kTinyTokens, kTinyVocabulary, 1)}};
  const auto slope = Attribute(*architecture, weights, one, 1 << 30);
  const auto size =
      Attribute(*architecture, weights, one, 1 << 30, "head_attribution_size");
  ASSERT_EQ(slope.size(), 2u);
  ASSERT_EQ(size.size(), 2u);
  int negative = 0;
  for (size_t i = 0; i < 2; ++i) {
    for (size_t h = 0; h < 4; ++h) {
      EXPECT_EQ(size[i].values[h], std::fabs(slope[i].values[h]));
      negative += slope[i].values[h] < 0;
    }
  }
  EXPECT_GT(negative, 0) << "the test would see nothing";
}

TEST(HeadAttributionTest, TakesFewerSequencesWhereAllAreTooMuch) {
  const auto architecture = model::CreateFrom(TinyLlama());
  const model::Weights weights = model::RandomWeights(*architecture, 1);
  const at::Tensor tokens_NT =
      model::RandomTokens(4, kTinyTokens, kTinyVocabulary, 1);
  // What enters two layers and what leaves them, of a sequence.
  const int64_t bytes = 3 * kTinyTokens * 16 * 4;
  const auto two = Attribute(*architecture, weights, {{"d", tokens_NT}},
                             2 * bytes + bytes / 2);
  const auto alone = Attribute(
      *architecture, weights,
      {{"d", tokens_NT.index_select(0, at::tensor({1, 3}, at::kLong))}},
      int64_t{1} << 30);
  ASSERT_EQ(two.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(two[i].count, 2 * (kTinyTokens - 1));
    for (size_t h = 0; h < 4; ++h) {
      EXPECT_NEAR(two[i].values[h], alone[i].values[h], 1e-6);
    }
  }
  const auto none = Attribute(*architecture, weights, {{"d", tokens_NT}}, 0);
  EXPECT_EQ(none.at(0).count, kTinyTokens - 1) << "one is always taken";
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
                    "layer_skip_mlp_delta_loss", "head_attribution"});
  EXPECT_GT(beside.size(), alone.size());
  for (const auto& [key, vector] : alone) {
    EXPECT_EQ(beside.at(key).values, vector.values) << std::get<0>(key);
  }
}

// They share the stream of the sequences as they are.
TEST(SideRunTest, ARunSaysTheSameAloneAndBesideOthers) {
  TinyRun run;
  const std::vector<std::string> all = {
      "layer_skip_mlp_sink_attention", "quant_delta_w4", "lens_kl",
      "head_attribution", "selectivity_mass_self"};
  const Values together = Measure(run, all);
  for (const std::string& metric : all) {
    const Values alone = Measure(run, {metric});
    size_t compared = 0;
    for (const auto& [key, vector] : alone) {
      if (std::get<0>(key) != metric) continue;
      EXPECT_EQ(together.at(key).values, vector.values) << metric;
      ++compared;
    }
    EXPECT_GT(compared, 0u) << metric;
  }
}

}  // namespace
}  // namespace sinkwatch::executor

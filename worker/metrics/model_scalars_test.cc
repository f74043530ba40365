#include "worker/metrics/model_scalars.h"

#include <cmath>
#include <limits>

#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

MeasurementOptions Options(const std::vector<std::string>& classes = {}) {
  MeasurementOptions options;
  options.domains = {{"d", classes}};
  return options;
}

const MetricVector& Get(const std::vector<MetricVector>& vectors,
                        const std::string& domain, const std::string& metric) {
  for (const MetricVector& v : vectors) {
    if (v.metric == metric && v.domain == domain) return v;
  }
  static const auto& none = *new MetricVector;
  ADD_FAILURE() << domain << " " << metric << " is absent";
  return none;
}

TEST(ModelScalarsTest, TheLossIsAMeanOverTokensAndGivenByClass) {
  auto measurement = *MeasurementBuilder::Create(Options({"other", "trigger"}));
  // Three losses for four tokens; the last row's class has no loss.
  measurement->FoldLoss(0, at::tensor({1.f, 2.f, 6.f}).view({1, 3}),
                        at::tensor({0, 1, 0, 1}, at::kByte).view({1, 4}));
  measurement->FoldLoss(0, at::tensor({3.f, 3.f, 3.f}).view({1, 3}),
                        at::tensor({0, 0, 0, 0}, at::kByte).view({1, 4}));
  const auto vectors = *measurement->FinishModel();
  const MetricVector& all = Get(vectors, "d", "probe_loss");
  EXPECT_FLOAT_EQ(all.values[0], 3);
  EXPECT_EQ(all.count, 6);
  EXPECT_FALSE(all.layer.has_value());
  EXPECT_FLOAT_EQ(Get(vectors, "d/other", "probe_loss").values[0], 16.f / 5);
  EXPECT_FLOAT_EQ(Get(vectors, "d/trigger", "probe_loss").values[0], 2);
}

TEST(ModelScalarsTest, ALossThatIsNotFiniteIsReportedAsItIs) {
  auto measurement = *MeasurementBuilder::Create(Options());
  const float infinity = std::numeric_limits<float>::infinity();
  measurement->FoldLoss(0, at::tensor({1.f, infinity}).view({1, 2}), {});
  const auto vectors = measurement->FinishModel();
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  EXPECT_TRUE(std::isinf(Get(*vectors, "d", "probe_loss").values[0]));
}

// A layer of two heads: in head 0 every query looks at key 0, whose value is
// small; in head 1 attention is even.
LayerBatch SinkAndEvenHead(double sink_value) {
  Shape shape;
  shape.H = shape.G = 2;
  LayerBatch batch = RandomLayer(shape);
  batch.q_BHTE.fill_(1);
  batch.k_BGTE.fill_(0);
  batch.k_BGTE.select(1, 0).select(1, 0).fill_(50);
  batch.v_BGTE.select(2, 0).mul_(sink_value);
  return batch;
}

TEST(ModelScalarsTest, SinkRateAndDormantHeadsAreSharesOverLayersAndHeads) {
  auto measurement = *MeasurementBuilder::Create(Options());
  measurement->FoldLayer(SinkAndEvenHead(0.01));
  ASSERT_TRUE(measurement->FinishLayer(0).ok());
  LayerBatch second = SinkAndEvenHead(3.0);  // a sink without a drain
  second.layer = 1;
  measurement->FoldLayer(second);
  ASSERT_TRUE(measurement->FinishLayer(1).ok());
  const auto vectors = *measurement->FinishModel();
  EXPECT_FLOAT_EQ(Get(vectors, "d", "sink_rate_030").values[0], 0.5);
  EXPECT_EQ(Get(vectors, "d", "sink_rate_030").count, 5);
  EXPECT_FLOAT_EQ(Get(vectors, "d", "dormant_head_frac").values[0], 0.25);
}

TEST(ModelScalarsTest, TheErrorOfTheSinkRateIsOverSequences) {
  auto measurement = *MeasurementBuilder::Create(Options());
  LayerBatch batch = SinkAndEvenHead(1);
  // The first two of five sequences lose the sink of head 0.
  batch.k_BGTE.slice(0, 0, 2).fill_(0);
  for (int layer = 0; layer < 2; ++layer) {
    batch.layer = layer;
    measurement->FoldLayer(Slice(batch, 0, 3));
    measurement->FoldLayer(Slice(batch, 3, 5));
    ASSERT_TRUE(measurement->FinishLayer(layer).ok());
  }
  const auto vectors = *measurement->FinishModel();
  const MetricVector& rate = Get(vectors, "d", "sink_rate_030");
  EXPECT_FLOAT_EQ(rate.values[0], 0.3);
  // Per sequence 0, 0, .5, .5, .5: both layers agree, so they do not halve it.
  EXPECT_NEAR(rate.standard_error[0], std::sqrt(0.3 / 4 / 5), 1e-6);
}

TEST(ModelScalarsTest, AShareOfHeadsHasNoErrorOverSequences) {
  auto measurement = *MeasurementBuilder::Create(Options());
  measurement->FoldLayer(SinkAndEvenHead(0.01));
  ASSERT_TRUE(measurement->FinishLayer(0).ok());
  const auto vectors = *measurement->FinishModel();
  EXPECT_TRUE(
      std::isnan(Get(vectors, "d", "dormant_head_frac").standard_error[0]));
  EXPECT_FALSE(
      std::isnan(Get(vectors, "d", "sink_rate_030").standard_error[0]));
}

TEST(ModelScalarsTest, TheLossByPositionIsThatOfThePredictedTokens) {
  MeasurementOptions options = Options({"other", "trigger"});
  options.metrics = {"probe_loss_from_1", "probe_loss_from_2",
                     "probe_loss_from_4", "probe_loss_from_8",
                     "in_context_score"};
  auto measurement = *MeasurementBuilder::Create(options);
  measurement->FoldLoss(0, at::tensor({1.f, 2.f, 6.f, 10.f, 20.f}).view({1, 5}),
                        at::tensor({0, 1, 0, 1, 0, 1}, at::kByte).view({1, 6}));
  const auto vectors = *measurement->FinishModel();
  EXPECT_FLOAT_EQ(Get(vectors, "d", "probe_loss_from_1").values[0], 1);
  EXPECT_FLOAT_EQ(Get(vectors, "d", "probe_loss_from_2").values[0], 4);
  EXPECT_FLOAT_EQ(Get(vectors, "d/trigger", "probe_loss_from_2").values[0], 2);
  EXPECT_FLOAT_EQ(Get(vectors, "d/other", "probe_loss_from_2").values[0], 6);
  // Cut short by the sequence's end.
  EXPECT_FLOAT_EQ(Get(vectors, "d", "probe_loss_from_4").values[0], 15);
  EXPECT_EQ(Get(vectors, "d", "probe_loss_from_4").count, 2);
  for (const MetricVector& vector : vectors) {
    EXPECT_NE(vector.metric, "probe_loss_from_8") << "no token is so far";
    EXPECT_NE(vector.metric, "in_context_score");
  }
}

TEST(ModelScalarsTest, TheInContextScoreIsTheFiftiethLessTheFiveHundredth) {
  MeasurementOptions options = Options();
  options.metrics = {"in_context_score"};
  auto measurement = *MeasurementBuilder::Create(options);
  at::Tensor loss = at::zeros({2, 600});
  loss[0][49] = 3.f;
  loss[0][499] = 1.f;
  loss[1][49] = 5.f;
  loss[1][499] = 4.f;
  measurement->FoldLoss(0, loss, {});
  const auto vectors = *measurement->FinishModel();
  const MetricVector& score = Get(vectors, "d", "in_context_score");
  EXPECT_FLOAT_EQ(score.values[0], 1.5);
  EXPECT_FLOAT_EQ(score.standard_error[0], 0.5);
}

MetricVector OfModel(const std::vector<LayerBatch>& layers,
                     const std::string& metric) {
  MeasurementOptions options = Options();
  options.metrics = {metric};
  auto measurement = *MeasurementBuilder::Create(options);
  for (const LayerBatch& layer : layers) {
    measurement->FoldLayer(layer);
    EXPECT_TRUE(measurement->FinishLayer(layer.layer).ok());
  }
  return Get(*measurement->FinishModel(), "d", metric);
}

// Layers without a sink but at `with`, two heads each.
std::vector<LayerBatch> FourLayers(int with) {
  std::vector<LayerBatch> layers;
  for (int layer = 0; layer < 4; ++layer) {
    layers.push_back(SinkAndEvenHead(1));
    layers.back().layer = layer;
    // Even attention gives key 0 less than .3 on average over 17 rows.
    if (layer != with) layers.back().q_BHTE.fill_(0);
  }
  return layers;
}

TEST(ModelScalarsTest, TheFloorIsTheLayersBelowTheFirstWithASink) {
  EXPECT_EQ(OfModel(FourLayers(0), "sink_floor_layers").values[0], 0);
  EXPECT_EQ(OfModel(FourLayers(2), "sink_floor_layers").values[0], 2);
  EXPECT_EQ(OfModel(FourLayers(9), "sink_floor_layers").values[0], 4);
}

TEST(ModelScalarsTest, HeadsWithLargeLogitsAreCounted) {
  std::vector<LayerBatch> layers = FourLayers(1);
  EXPECT_EQ(OfModel(layers, "logit_over_100_heads").values[0], 1);
  EXPECT_EQ(OfModel(layers, "logit_over_100_heads").count, 8);
  layers[1].attention.scale = 0.01;
  EXPECT_EQ(OfModel(layers, "logit_over_100_heads").values[0], 0);
}

TEST(ModelScalarsTest, TheLoadOfHeadsIsWhatDoesNotGoToTheSink) {
  // One of two heads works, the other rests.
  const double even = OfModel({SinkAndEvenHead(1)}, "head_load_cv").values[0];
  EXPECT_NEAR(even, 1, 1e-3);
  EXPECT_NEAR(OfModel(FourLayers(9), "head_load_cv").values[0], 0, 1e-3);
}

// Streams out of layers -1 to 3 whose first token is so many times as long as
// the others, of length 1 each.
std::vector<LayerBatch> StreamsOf(const std::vector<float>& first) {
  std::vector<LayerBatch> layers;
  for (size_t i = 0; i < first.size(); ++i) {
    LayerBatch& batch = layers.emplace_back();
    batch.layer = static_cast<int>(i) - 1;
    batch.resid_post_BTD = at::zeros({2, 5, 4});
    batch.resid_post_BTD.select(2, 1).fill_(1);
    batch.resid_post_BTD.select(1, 0).mul_(first[i]);
  }
  return layers;
}

TEST(ModelScalarsTest, TheResidualPeakIsPlacedAmongTheLayers) {
  const auto layers = StreamsOf({1, 2, 8, 8, 3, 1.5});
  EXPECT_EQ(OfModel(layers, "residual_peak_layer").values[0], 1);
  EXPECT_EQ(OfModel(layers, "residual_peak_layer").count, 6);
  EXPECT_EQ(OfModel(layers, "residual_rise_layer").values[0], 1);
  EXPECT_EQ(OfModel(layers, "residual_fall_layer").values[0], 3);
  EXPECT_FLOAT_EQ(OfModel(layers, "residual_peak_excess").values[0], 7);
  const auto embedding = StreamsOf({4, 1});
  EXPECT_EQ(OfModel(embedding, "residual_peak_layer").values[0], -1);
  EXPECT_EQ(OfModel(embedding, "residual_fall_layer").values[0], -1);
  EXPECT_FLOAT_EQ(
      OfModel(StreamsOf({.5, .25}), "residual_peak_excess").values[0], -.5);
}

TEST(ModelScalarsTest, WithoutAResidualPeakNoLayerBuildsIt) {
  MeasurementOptions options = Options();
  options.metrics = {"residual_rise_layer", "residual_fall_layer"};
  auto measurement = *MeasurementBuilder::Create(options);
  for (const LayerBatch& layer : StreamsOf({1, 2, 2.9})) {
    measurement->FoldLayer(layer);
    ASSERT_TRUE(measurement->FinishLayer(layer.layer).ok());
  }
  EXPECT_TRUE(measurement->FinishModel()->empty());
}

TEST(ModelScalarsTest, ThePerplexityIsEToTheLoss) {
  MeasurementOptions options = Options();
  options.metrics = {"perplexity"};
  auto measurement = *MeasurementBuilder::Create(options);
  measurement->FoldLoss(0, at::tensor({1.f, 2.f, 6.f, 3.f}).view({2, 2}), {});
  auto vectors = *measurement->FinishModel();
  EXPECT_FLOAT_EQ(Get(vectors, "d", "perplexity").values[0], std::exp(3.f));
  EXPECT_FLOAT_EQ(
      Get(vectors, "d", "perplexity").standard_error[0],
      std::exp(3.f) * Get(vectors, "d", "probe_loss").standard_error[0]);
  // Beyond float32 it is not told.
  measurement->FoldLoss(0, at::tensor({900.f, 900.f}).view({1, 2}), {});
  vectors = *measurement->FinishModel();
  ASSERT_EQ(vectors.size(), 1u);
  EXPECT_EQ(vectors[0].metric, "probe_loss");
}

TEST(ModelScalarsTest, WithoutAttentionThereIsNoSinkRate) {
  auto measurement = *MeasurementBuilder::Create(Options());
  LayerBatch batch;
  batch.resid_post_BTD = RandomLayer(Shape()).resid_post_BTD;
  measurement->FoldLayer(batch);
  ASSERT_TRUE(measurement->FinishLayer(0).ok());
  EXPECT_TRUE(measurement->FinishModel()->empty());
}

}  // namespace
}  // namespace sinkwatch::metrics::test

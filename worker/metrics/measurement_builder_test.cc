#include "worker/metrics/measurement_builder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ATen/ops/arange.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/remainder.h"
#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

std::unique_ptr<MeasurementBuilder> Make(
    const std::vector<Domain>& domains,
    const std::vector<std::string>& metrics = {}) {
  MeasurementOptions options;
  options.domains = domains;
  options.metrics = metrics;
  auto measurement = MeasurementBuilder::Create(options);
  EXPECT_TRUE(measurement.ok()) << measurement.status();
  return *std::move(measurement);
}

// Classes 0, 1, 2, 0, ... along the rows, shifted by one per sequence.
at::Tensor Classes(const Shape& s) {
  at::Tensor row =
      at::arange(s.T).unsqueeze(0).add(at::arange(s.B).unsqueeze(1));
  return at::remainder(row, 3).to(at::kByte);
}

const MetricVector* Find(const std::vector<MetricVector>& vectors,
                         const std::string& metric,
                         const std::string& domain = "d") {
  for (const MetricVector& v : vectors) {
    if (v.metric == metric && v.domain == domain) return &v;
  }
  return nullptr;
}

TEST(MeasurementTest, AnUnknownMetricIsRefusedWithTheKnownOnes) {
  MeasurementOptions options;
  options.domains = {{"d", {}}};
  options.metrics = {"sink_attention", "sinkiness"};
  const auto measurement = MeasurementBuilder::Create(options);
  ASSERT_EQ(measurement.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(measurement.status().message());
  EXPECT_NE(message.find("'sinkiness'"), std::string::npos) << message;
  EXPECT_NE(message.find("value_norm_ratio"), std::string::npos) << message;
}

TEST(MeasurementTest, OnlyWhatIsAskedIsGivenAndTheLossAlways) {
  auto measurement = Make({{"d", {}}}, {"sink_rate_030", "key_norm_ratio"});
  measurement->FoldLayer(RandomLayer(Shape()));
  measurement->FoldLoss(0, at::tensor({1.0f, 3.0f}).view({1, 2}), {});
  const auto layer = *measurement->FinishLayer(0);
  ASSERT_EQ(layer.size(), 1u);
  EXPECT_EQ(layer[0].metric, "key_norm_ratio");
  const auto model = *measurement->FinishModel();
  ASSERT_EQ(model.size(), 2u);
  EXPECT_EQ(model[0].metric, "probe_loss");
  EXPECT_EQ(model[1].metric, "sink_rate_030");
}

class CutTest : public ::testing::TestWithParam<Shape> {};

TEST_P(CutTest, TheResultDoesNotDependOnHowSequencesAreBatched) {
  LayerBatch batch = RandomLayer(GetParam());
  batch.row_classes_BT = Classes(GetParam());
  const std::vector<std::string> classes = {"a", "b", "c"};
  const Values whole = Measure({batch}, classes);
  std::vector<LayerBatch> single;
  for (int64_t b = GetParam().B; b-- > 0;) {
    single.push_back(Slice(batch, b, b + 1));
  }
  const Values parts = Measure(single, classes);
  ASSERT_EQ(whole.size(), parts.size());
  for (const auto& [key, vector] : whole) {
    const MetricVector& other = parts.at(key);
    EXPECT_EQ(vector.count, other.count) << key;
    for (size_t i = 0; i < vector.values.size(); ++i) {
      // Matrix products of other sizes round differently in float32.
      const double scale = std::fabs(vector.values[i]) + 1e-3;
      EXPECT_NEAR(vector.values[i], other.values[i], 2e-6 * scale) << key;
      const float error = vector.standard_error[i];
      EXPECT_EQ(std::isnan(error), std::isnan(other.standard_error[i])) << key;
      if (std::isnan(error)) continue;
      EXPECT_NEAR(error, other.standard_error[i], 2e-5 * scale) << key;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CutTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(MeasurementTest, PermutingHeadsPermutesTheirValues) {
  LayerBatch batch = RandomLayer(Shape());
  const Values before = Measure({batch});
  const at::Tensor order = at::tensor({2, 0, 3, 1}, at::kLong);
  for (at::Tensor* x :
       {&batch.q_BHTE, &batch.k_BGTE, &batch.v_BGTE, &batch.z_BHTE}) {
    *x = x->index_select(1, order);
  }
  batch.output_projection_DHE = batch.output_projection_DHE.view({24, 4, 6})
                                    .index_select(1, order)
                                    .reshape({24, 24});
  const Values after = Measure({batch});
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [key, vector] : before) {
    if (vector.values.size() != 4) continue;
    const std::vector<float>& moved = after.at(key).values;
    const int from[] = {2, 0, 3, 1};
    for (int i = 0; i < 4; ++i) {
      EXPECT_NEAR(moved[i], vector.values[from[i]], 1e-5) << key;
    }
  }
}

TEST(MeasurementTest, ValuesOfSequencesCanBeLeftOut) {
  MeasurementOptions options;
  options.domains = {{"d", {}}};
  options.sequence_values = false;
  auto measurement = *MeasurementBuilder::Create(options);
  measurement->FoldLayer(RandomLayer(Shape()));
  const auto layer = *measurement->FinishLayer(0);
  ASSERT_NE(Find(layer, "sink_attention"), nullptr);
  EXPECT_TRUE(Find(layer, "sink_attention")->sequence_values.empty());
}

TEST(MeasurementTest, ValuesOfSequencesAreBoundedByLayerAndInAll) {
  EXPECT_TRUE(FewSequenceValues(2, 32, 32, 4 * 1024));
  EXPECT_FALSE(FewSequenceValues(2, 32, 32, 4 * 1024 + 1)) << "2^23 in all";
  EXPECT_TRUE(FewSequenceValues(2, 1, 64, 1 << 14));
  EXPECT_FALSE(FewSequenceValues(2, 1, 64, (1 << 14) + 1)) << "8 MiB a layer";
  EXPECT_TRUE(FewSequenceValues(0, 1024, 1024, 1 << 20));
}

TEST(MeasurementTest, SharedKeysAndValuesAreThoseOfEachOfTheirHeads) {
  Shape shape;
  shape.G = 2;
  const LayerBatch shared = RandomLayer(shape);
  LayerBatch own = shared;
  const at::Tensor group_H = at::tensor({0, 0, 1, 1}, at::kLong);
  own.k_BGTE = shared.k_BGTE.index_select(1, group_H);
  own.v_BGTE = shared.v_BGTE.index_select(1, group_H);
  const Values grouped = Measure({shared}), whole = Measure({own});
  ASSERT_EQ(grouped.size(), whole.size());
  for (const auto& [key, vector] : grouped) {
    const std::vector<float>& others = whole.at(key).values;
    for (size_t i = 0; i < others.size(); ++i) {
      // Of the key/value heads there are half as many.
      const size_t mine = vector.values.size() < others.size() ? i / 2 : i;
      EXPECT_NEAR(vector.values[mine], others[i],
                  2e-6 * (1 + std::fabs(others[i])))
          << key;
    }
  }
}

TEST(MeasurementTest, ClassesAverageOnlyTheirRows) {
  const Shape shape;
  LayerBatch batch = RandomLayer(shape);
  batch.row_classes_BT = Classes(shape);
  const BruteForce x(batch);
  const Values values = Measure({batch}, {"a", "b", "c"});
  for (int c = 0; c < 3; ++c) {
    const std::string label = std::string("d/") + "abc"[c];
    const auto in_class = [&](int64_t b, int64_t t) {
      return (t + b) % 3 == c;
    };
    std::vector<double> mass, gu, share;
    for (int64_t h = 0; h < x.H; ++h) {
      const auto weight = [&](auto b, auto i, auto t) {
        return x.A(b, i, t, 0);
      };
      mass.push_back(x.RowMean(h, 1, in_class, weight));
      gu.push_back(x.RowMean(h, 0, in_class, weight));
      share.push_back(x.RowMean(h, 1, in_class, [&](auto b, auto i, auto t) {
        return x.A(b, i, t, 0) * x.NormWrittenV(b, i, 0);
      }) / x.RowMean(h, 1, in_class, [&](auto b, auto i, auto t) {
        return x.NormWrittenZ(b, i, t);
      }));
    }
    ExpectClose(values, label + " sink_attention", mass);
    ExpectClose(values, label + " sink_attention_gu", gu);
    ExpectClose(values, label + " sink_write_share", share);
  }
}

TEST(MeasurementTest, WhatIsNotAMeanOverQueryRowsHasNoClasses) {
  const Shape shape;
  LayerBatch batch = RandomLayer(shape);
  batch.row_classes_BT = Classes(shape);
  const Values values = Measure({batch}, {"a", "b", "c"});
  for (const char* metric :
       {"value_norm_ratio", "residual_norm_sink", "sink_indicator_030",
        "sink_count", "head_output_norm_ln", "attention_logit_max"}) {
    EXPECT_EQ(values.count(std::string("d ") + metric), 1u) << metric;
    EXPECT_EQ(values.count(std::string("d/a ") + metric), 0u) << metric;
  }
}

TEST(MeasurementTest, AClassThatNeverOccursIsAbsent) {
  const Shape shape;
  LayerBatch batch = RandomLayer(shape);
  batch.row_classes_BT = Classes(shape).clamp_max(1);
  const Values values = Measure({batch}, {"a", "b", "c"});
  EXPECT_EQ(values.count("d/b sink_attention"), 1u);
  EXPECT_EQ(values.count("d/c sink_attention"), 0u);
}

TEST(MeasurementTest, CountsAreRowsOfMeansAndSequencesOfTheRest) {
  const Values values = Measure({RandomLayer(Shape())});  // B = 5, T = 17
  EXPECT_EQ(values.at("d sink_attention").count, 5 * 16);
  EXPECT_EQ(values.at("d sink_attention_gu").count, 5 * 17);
  EXPECT_EQ(values.at("d sink_delta_logit").count, 5 * 15);
  EXPECT_EQ(values.at("d sink_count").count, 5);
  EXPECT_EQ(values.at("d value_norm_ratio").count, 5);
  EXPECT_EQ(values.at("d residual_norm_rest_median").count, 5);
}

TEST(MeasurementTest, StandardErrorsAreOverSequences) {
  const LayerBatch batch = RandomLayer(Shape());
  const BruteForce x(batch);
  std::vector<double> own(x.B, 0);
  double mean = 0;
  for (int64_t b = 0; b < x.B; ++b) {
    for (int64_t t = 1; t < x.T; ++t) own[b] += x.A(b, 0, t, 0) / 16;
    mean += own[b] / x.B;
  }
  double sum = 0;
  for (double value : own) sum += (value - mean) * (value - mean);
  const Values values = Measure({batch});
  EXPECT_NEAR(values.at("d sink_attention").standard_error[0],
              std::sqrt(sum / (x.B - 1) / x.B), 1e-6);
}

bool AnyErrorIsTold(const MetricVector& vector) {
  return std::any_of(vector.standard_error.begin(), vector.standard_error.end(),
                     [](float error) { return !std::isnan(error); });
}

TEST(MeasurementTest, OneSequenceHasNoStandardErrors) {
  Shape shape;
  shape.B = 1;
  const Values values = Measure({RandomLayer(shape)});
  EXPECT_EQ(values.size(), 33u);
  for (const auto& [key, vector] : values) {
    EXPECT_FALSE(AnyErrorIsTold(vector)) << key;
    EXPECT_EQ(vector.standard_error.size(), vector.values.size()) << key;
  }
}

TEST(MeasurementTest, OnlyAMaximumHasNoStandardErrorOverSequences) {
  for (const auto& [key, vector] : Measure({RandomLayer(Shape())})) {
    EXPECT_EQ(AnyErrorIsTold(vector), key != "d attention_logit_max") << key;
  }
}

TEST(MeasurementTest, DescriptorsAreThoseOfTheMetricsAndOfTheLoss) {
  const auto has = [](const std::vector<Descriptor>& all,
                      const std::string& name) {
    return std::any_of(all.begin(), all.end(),
                       [&](const Descriptor& d) { return d.name == name; });
  };
  EXPECT_TRUE(has(DescriptorsOf({}), "massive_max"));
  EXPECT_FALSE(has(DescriptorsOf({}), "massive_count"));
  const auto more = DescriptorsOf({"default", "massive_count"});
  EXPECT_TRUE(has(more, "massive_count"));
  EXPECT_EQ(more.size(), DescriptorsOf({}).size() + 1);
  const std::vector<Descriptor> two = DescriptorsOf({"value_norm_ratio"});
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].name, "value_norm_ratio");
  EXPECT_EQ(two[0].threshold, 0.5);
  EXPECT_TRUE(two[0].below);
  EXPECT_EQ(two[1].name, kProbeLoss);
  EXPECT_FALSE(two[1].threshold.has_value());
}

// Each tensor that is not recorded takes its metrics with it, and no others.
TEST(MeasurementTest, APointThatNeverFiresIsAbsentNotZero) {
  const size_t all = Measure({RandomLayer(Shape())}).size();
  EXPECT_EQ(all, 33u);  // of 34 of the registry; lost_mass is for ReLU
  LayerBatch no_value = RandomLayer(Shape());
  no_value.v_BGTE.reset();
  EXPECT_EQ(Measure({no_value}).size(), all - 5);
  LayerBatch no_input = RandomLayer(Shape());
  no_input.resid_pre_BTD.reset();
  EXPECT_EQ(Measure({no_input}).size(), all - 1);
  LayerBatch no_query = RandomLayer(Shape());
  no_query.q_BHTE.reset();
  const Values values = Measure({no_query});
  EXPECT_EQ(values.count("d key_norm_ratio"), 1u);
  EXPECT_EQ(values.count("d sink_attention"), 0u);
}

// A layer without attention is one that only shows its streams.
TEST(MeasurementTest, ALayerWithoutAttentionHasItsResidualMetrics) {
  LayerBatch batch = RandomLayer(Shape());
  for (at::Tensor* x : {&batch.q_BHTE, &batch.k_BGTE, &batch.v_BGTE,
                        &batch.z_BHTE, &batch.output_projection_DHE}) {
    x->reset();
  }
  EXPECT_EQ(Measure({batch}).size(), 9u);
}

TEST(MeasurementTest, ANonFiniteValueIsDataLossWithItsPlace) {
  auto measurement = Make({{"story", {}}});
  LayerBatch batch = RandomLayer(Shape());
  batch.layer = 7;
  batch.z_BHTE.select(0, 1).select(0, 2).select(0, 5).fill_(
      std::numeric_limits<float>::quiet_NaN());
  measurement->FoldLayer(batch);
  const auto vectors = measurement->FinishLayer(7);
  ASSERT_EQ(vectors.status().code(), absl::StatusCode::kDataLoss);
  const std::string message(vectors.status().message());
  EXPECT_NE(message.find("layer 7"), std::string::npos) << message;
  EXPECT_NE(message.find("head_output_norm"), std::string::npos) << message;
  EXPECT_NE(message.find("story"), std::string::npos) << message;
}

// Comparisons with thresholds must not turn a NaN into "below".
TEST(MeasurementTest, ThresholdMetricsDoNotHideNotANumber) {
  for (const char* metric : {"dormant_query_frac", "sink_indicator_030"}) {
    auto measurement = Make({{"d", {}}}, {metric});
    LayerBatch batch = RandomLayer(Shape());
    batch.q_BHTE.select(2, 3).fill_(std::numeric_limits<float>::quiet_NaN());
    measurement->FoldLayer(batch);
    EXPECT_EQ(measurement->FinishLayer(0).status().code(),
              absl::StatusCode::kDataLoss)
        << metric;
  }
}

TEST(MeasurementTest, FinishingALayerFreesIt) {
  auto measurement = Make({{"d", {}}});
  measurement->FoldLayer(RandomLayer(Shape()));
  EXPECT_FALSE(measurement->FinishLayer(0)->empty());
  EXPECT_TRUE(measurement->FinishLayer(0)->empty());
}

// On a GPU it lies in one block of memory with all weights of its layer.
TEST(MeasurementTest, AFoldedLayersProjectionIsNotKept) {
  auto measurement = Make({{"d", {}}});
  LayerBatch batch = RandomLayer(Shape());
  const c10::Storage storage = batch.output_projection_DHE.storage();
  measurement->FoldLayer(batch);
  batch = LayerBatch();
  EXPECT_EQ(storage.use_count(), 1u);
  EXPECT_FALSE(measurement->FinishLayer(0)->empty());
}

TEST(MeasurementTest, DomainsAreKeptApart) {
  auto measurement = Make({{"a", {}}, {"b", {}}});
  LayerBatch first = RandomLayer(Shape(), 1), second = RandomLayer(Shape(), 2);
  second.domain = 1;
  measurement->FoldLayer(first);
  measurement->FoldLayer(second);
  const auto vectors = *measurement->FinishLayer(0);
  const Values alone = Measure({first});
  EXPECT_EQ(Find(vectors, "sink_attention", "a")->values,
            alone.at("d sink_attention").values);
  EXPECT_NE(Find(vectors, "sink_attention", "a")->values,
            Find(vectors, "sink_attention", "b")->values);
}

TEST(MeasurementTest, Bfloat16InputsAgreeWithFloat32OnTheSameNumbers) {
  LayerBatch rough = RandomLayer(Shape());
  LayerBatch exact = rough;
  for (at::Tensor LayerBatch::*x :
       {&LayerBatch::resid_pre_BTD, &LayerBatch::q_BHTE, &LayerBatch::k_BGTE,
        &LayerBatch::v_BGTE, &LayerBatch::z_BHTE, &LayerBatch::resid_post_BTD,
        &LayerBatch::output_projection_DHE}) {
    rough.*x = (rough.*x).to(at::kBFloat16);
    exact.*x = (rough.*x).to(at::kFloat);
  }
  const Values expected = Measure({exact});
  for (const auto& [key, vector] : Measure({rough})) {
    for (size_t i = 0; i < vector.values.size(); ++i) {
      EXPECT_NEAR(vector.values[i], expected.at(key).values[i],
                  2e-5 * std::fabs(vector.values[i]) + 2e-6)
          << key;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::metrics::test

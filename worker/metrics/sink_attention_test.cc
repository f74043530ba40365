#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class SinkAttentionTest : public ::testing::TestWithParam<Shape> {};

TEST_P(SinkAttentionTest, EqualsTheDefinitionOnRandomLayers) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  const auto sees = [&](int64_t, int64_t t) { return x.Sees(t, 0); };
  std::vector<double> mass, dormant;
  for (int64_t h = 0; h < x.H; ++h) {
    // Only ReLU's weights are made a share; a learned sink's rows stay below 1.
    mass.push_back(x.RowMean(h, 1, sees, [&](auto b, auto head, auto t) {
      if (!GetParam().relu) return x.A(b, head, t, 0);
      double sum = 0;
      for (int64_t k = 0; k <= t; ++k) sum += x.A(b, head, t, k);
      return sum > 0 ? x.A(b, head, t, 0) / sum : 0;
    }));
    dormant.push_back(x.RowMean(h, 1, sees, [&](auto b, auto head, auto t) {
      return x.A(b, head, t, 0) > 0.5 ? 1.0 : 0.0;
    }));
  }
  ExpectClose(values, "d sink_attention", mass);
  ExpectClose(values, "d dormant_query_frac", dormant);
}

TEST_P(SinkAttentionTest, GuCountsRowZeroAndIsAbsentUnderAWindow) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  if (GetParam().window > 0) {
    EXPECT_EQ(values.count("d sink_attention_gu"), 0u);
    EXPECT_EQ(values.count("d sink_indicator_030"), 0u);
    return;
  }
  std::vector<double> mass, indicator;
  for (int64_t h = 0; h < x.H; ++h) {
    double sum = 0, above = 0;
    for (int64_t b = 0; b < x.B; ++b) {
      double own = 0;
      for (int64_t t = 0; t < x.T; ++t) own += x.A(b, h, t, 0);
      sum += own;
      above += own / x.T > 0.2;
    }
    mass.push_back(sum / (x.B * x.T));
    indicator.push_back(above / x.B);
  }
  ExpectClose(values, "d sink_attention_gu", mass);
  ExpectClose(values, "d sink_indicator_020", indicator);
}

const std::vector<std::pair<std::string, double>> kPoints = {
    {"001", .01}, {"005", .05}, {"010", .1}, {"020", .2}, {"030", .3},
    {"040", .4},  {"050", .5},  {"060", .6}, {"070", .7}, {"080", .8},
    {"090", .9},  {"095", .95}, {"099", .99}};

TEST_P(SinkAttentionTest, TheDistributionIsSharesOfRowsAboveEachPoint) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  std::vector<std::string> names;
  for (const auto& [suffix, bound] : kPoints) {
    names.push_back("sink_attention_above_" + suffix);
  }
  const Values values = Measure({batch}, {}, names);
  const auto sees = [&](int64_t, int64_t t) { return x.Sees(t, 0); };
  for (size_t i = 0; i < kPoints.size(); ++i) {
    std::vector<double> expected;
    for (int64_t h = 0; h < x.H; ++h) {
      expected.push_back(x.RowMean(h, 1, sees, [&](auto b, auto head, auto t) {
        return x.A(b, head, t, 0) > kPoints[i].second ? 1.0 : 0.0;
      }));
    }
    ExpectClose(values, "d " + names[i], expected);
  }
}

// Each sequence measured alone gives what it has among the others.
TEST_P(SinkAttentionTest, EachSequenceHasItsOwnValue) {
  const LayerBatch batch = RandomLayer(GetParam());
  for (const char* metric : {"sink_attention", "dormant_query_frac"}) {
    const std::string key = std::string("d ") + metric;
    std::vector<LayerBatch> parts = {
        Slice(batch, GetParam().B / 2, GetParam().B)};
    if (GetParam().B > 1) {
      parts.insert(parts.begin(), Slice(batch, 0, GetParam().B / 2));
    }
    const MetricVector all = Measure(parts).at(key);
    ASSERT_EQ(all.sequence_values.size(),
              all.values.size() * static_cast<size_t>(GetParam().B));
    for (int64_t b = 0; b < GetParam().B; ++b) {
      const Values alone = Measure({Slice(batch, b, b + 1)});
      for (size_t h = 0; h < all.values.size(); ++h) {
        // Matrix products of other sizes round differently in float32.
        EXPECT_NEAR(all.sequence_values[h * GetParam().B + b],
                    alone.at(key).values[h], 2e-6)
            << metric << " of head " << h << " in sequence " << b;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SinkAttentionTest,
                         ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

// With equal logits A[t,0] = 1/(t+1), so its mean over t >= 1 is
// (H_T - 1)/(T - 1), and over t >= 0 it is H_T/T, H_T the harmonic number.
TEST(SinkAttentionMicroTest, EvenAttentionGivesHarmonicNumbers) {
  LayerBatch batch = RandomLayer(Shape());
  batch.q_BHTE = at::zeros_like(batch.q_BHTE);
  const Values values = Measure({batch});
  double harmonic = 0;
  for (int t = 1; t <= 17; ++t) harmonic += 1.0 / t;
  ExpectClose(values, "d sink_attention",
              std::vector<double>(4, (harmonic - 1) / 16));
  ExpectClose(values, "d sink_attention_gu",
              std::vector<double>(4, harmonic / 17));
  ExpectClose(values, "d dormant_query_frac", std::vector<double>(4, 0));
}

TEST(SinkAttentionMicroTest, OneDominatingKeyTakesAllAttention) {
  LayerBatch batch = RandomLayer(Shape());
  batch.q_BHTE.fill_(1);
  batch.k_BGTE.fill_(0);
  batch.k_BGTE.select(2, 0).fill_(50);
  const Values values = Measure({batch});
  const std::vector<double> ones(4, 1);
  ExpectClose(values, "d sink_attention", ones);
  ExpectClose(values, "d dormant_query_frac", ones);
  ExpectClose(values, "d sink_indicator_080", ones);
}

TEST(SinkAttentionMicroTest, AReluHeadThatAttendsNothingHasNoSink) {
  Shape shape;
  shape.relu = true;
  LayerBatch batch = RandomLayer(shape);
  batch.q_BHTE.fill_(-1);
  batch.k_BGTE.fill_(1);
  const Values values = Measure({batch});
  ExpectClose(values, "d sink_attention", std::vector<double>(4, 0));
  ExpectClose(values, "d lost_mass", std::vector<double>(4, 1));
}

TEST(SinkAttentionMicroTest, AWindowOfOneSeesNoSink) {
  Shape shape;
  shape.window = 1;
  const Values values = Measure({RandomLayer(shape)});
  for (const char* metric :
       {"sink_attention", "sink_attention_gu", "dormant_query_frac",
        "sink_logit_margin", "sink_delta_logit", "sink_qk_cosine",
        "sink_write_share", "prev_token_attention", "attention_entropy_norm"}) {
    EXPECT_EQ(values.count(std::string("d ") + metric), 0u) << metric;
  }
  EXPECT_EQ(values.count("d head_output_norm"), 1u);
}

TEST(SinkAttentionMicroTest, ASequenceWithoutRowsOfTheClassHasNoValue) {
  LayerBatch batch = RandomLayer(Shape());
  batch.row_classes_BT = at::zeros({5, 17}, at::kByte);
  batch.row_classes_BT.select(0, 3).fill_(1);
  const Values values = Measure({batch}, {"a", "b"});
  const MetricVector& of_b = values.at("d/b sink_attention");
  ASSERT_EQ(of_b.sequence_values.size(), 4u * 5);
  for (int h = 0; h < 4; ++h) {
    for (int b = 0; b < 5; ++b) {
      const float value = of_b.sequence_values[h * 5 + b];
      EXPECT_EQ(std::isnan(value), b != 3) << h << " " << b;
      // One sequence has all the rows of its class.
      if (b != 3) continue;
      EXPECT_FLOAT_EQ(value, of_b.values[h]);
    }
  }
  EXPECT_TRUE(values.at("d sink_logit_margin").sequence_values.empty());
}

}  // namespace
}  // namespace sinkwatch::metrics::test

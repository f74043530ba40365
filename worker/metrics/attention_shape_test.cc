#include <algorithm>
#include <cmath>

#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class AttentionShapeTest : public ::testing::TestWithParam<Shape> {};

bool EveryRow(int64_t, int64_t) { return true; }

// What the head's learned sink takes of a row; 0 without one.
double LostTo(const BruteForce& x, int64_t b, int64_t h, int64_t t) {
  const double sink = std::exp(x.LearnedSink(h));
  double keys = 0;
  for (int64_t k = 0; k <= t; ++k) {
    if (x.Sees(t, k)) keys += std::exp(x.S(b, h, t, k));
  }
  return sink / (sink + keys);
}

double EntropyOf(const BruteForce& x, int64_t b, int64_t h, int64_t t) {
  double entropy = 0;
  for (int64_t k = 0; k <= t; ++k) {
    const double a = x.A(b, h, t, k);
    if (a > 0) entropy -= a * std::log(a);
  }
  const double lost = LostTo(x, b, h, t);
  return lost > 0 ? entropy - lost * std::log(lost) : entropy;
}

TEST_P(AttentionShapeTest, EntropyEqualsTheDefinitionAndNeedsADistribution) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  if (GetParam().relu) {
    EXPECT_EQ(values.count("d attention_entropy"), 0u);
    EXPECT_EQ(values.count("d attention_entropy_norm"), 0u);
    return;
  }
  std::vector<double> entropy, normalised;
  for (int64_t h = 0; h < x.H; ++h) {
    entropy.push_back(x.RowMean(h, 1, EveryRow, [&](auto b, auto i, auto t) {
      return EntropyOf(x, b, i, t);
    }));
    normalised.push_back(x.RowMean(h, 1, EveryRow, [&](auto b, auto i, auto t) {
      int outcomes = GetParam().learned_sinks ? 1 : 0;
      for (int64_t k = 0; k <= t; ++k) outcomes += x.Sees(t, k);
      return EntropyOf(x, b, i, t) / std::log(outcomes);
    }));
  }
  ExpectClose(values, "d attention_entropy", entropy);
  ExpectClose(values, "d attention_entropy_norm", normalised);
}

TEST_P(AttentionShapeTest, PreviousTokenEqualsTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  std::vector<double> previous;
  for (int64_t h = 0; h < x.H; ++h) {
    previous.push_back(x.RowMean(h, 1, EveryRow, [&](auto b, auto i, auto t) {
      return x.A(b, i, t, t - 1);
    }));
  }
  ExpectClose(Measure({batch}), "d prev_token_attention", previous);
}

TEST_P(AttentionShapeTest, LogitMaxIsTheLargestVisibleOverAllBatches) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  std::vector<double> largest(x.H, 0);
  for (int64_t h = 0; h < x.H; ++h) {
    for (int64_t b = 0; b < x.B; ++b) {
      for (int64_t t = 0; t < x.T; ++t) {
        for (int64_t k = 0; k <= t; ++k) {
          if (!x.Sees(t, k)) continue;
          largest[h] = std::max(largest[h], std::fabs(x.S(b, h, t, k)));
        }
      }
    }
  }
  const int64_t middle = x.B / 2;
  std::vector<LayerBatch> batches = {batch};
  if (middle > 0) {
    batches = {Slice(batch, 0, middle), Slice(batch, middle, x.B)};
  }
  ExpectClose(Measure(batches), "d attention_logit_max", largest);
}

TEST_P(AttentionShapeTest, LostMassIsOnlyForReluAndLearnedSinks) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  if (!GetParam().relu && !GetParam().learned_sinks) {
    EXPECT_EQ(values.count("d lost_mass"), 0u);
    return;
  }
  std::vector<double> lost;
  for (int64_t h = 0; h < x.H; ++h) {
    lost.push_back(x.RowMean(h, 1, EveryRow, [&](auto b, auto i, auto t) {
      double sum = 0;
      for (int64_t k = 0; k <= t; ++k) sum += x.A(b, i, t, k);
      return 1 - sum;
    }));
  }
  ExpectClose(values, "d lost_mass", lost);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionShapeTest,
                         ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

// 1 - row_sum would be 0 or a multiple of 6e-8 here.
TEST(AttentionShapeMicroTest, LostMassKeepsItsDigitsWhereLittleIsLost) {
  Shape shape;
  shape.learned_sinks = true;
  LayerBatch batch = RandomLayer(shape);
  batch.attention.learned_sinks_H.fill_(-25);
  const BruteForce x(batch);
  const Values values = Measure({batch});
  for (int64_t h = 0; h < x.H; ++h) {
    const double lost = x.RowMean(h, 1, EveryRow, [&](auto b, auto i, auto t) {
      double keys = 0;
      for (int64_t k = 0; k <= t; ++k) keys += std::exp(x.S(b, i, t, k));
      return std::exp(-25) / (std::exp(-25) + keys);
    });
    ASSERT_LT(lost, 1e-9);
    EXPECT_NEAR(values.at("d lost_mass").values[h] / lost, 1, 1e-5);
  }
}

TEST(AttentionShapeMicroTest, EvenAttentionHasANormalisedEntropyOfOne) {
  for (const bool learned_sinks : {false, true}) {
    Shape shape;
    shape.learned_sinks = learned_sinks;
    LayerBatch batch = RandomLayer(shape);
    batch.q_BHTE = at::zeros_like(batch.q_BHTE);
    // The logit of every key: the sink is one more of the same.
    if (learned_sinks) batch.attention.learned_sinks_H.fill_(0);
    ExpectClose(Measure({batch}), "d attention_entropy_norm",
                std::vector<double>(4, 1));
  }
}

// A row that sees its own key alone has an entropy where a sink stands beside.
TEST(AttentionShapeMicroTest, AWindowOfOneHasEntropyOnlyBesideALearnedSink) {
  Shape shape;
  shape.window = 1;
  EXPECT_EQ(Measure({RandomLayer(shape)}).count("d attention_entropy_norm"),
            0u);
  shape.learned_sinks = true;
  LayerBatch batch = RandomLayer(shape);
  batch.q_BHTE = at::zeros_like(batch.q_BHTE);
  batch.attention.learned_sinks_H.fill_(0);
  const Values values = Measure({batch});
  ExpectClose(values, "d attention_entropy_norm", std::vector<double>(4, 1));
  ExpectClose(values, "d attention_entropy",
              std::vector<double>(4, std::log(2.)));
}

}  // namespace
}  // namespace sinkwatch::metrics::test

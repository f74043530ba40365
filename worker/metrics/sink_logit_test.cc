#include <cmath>

#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class SinkLogitTest : public ::testing::TestWithParam<Shape> {};

TEST_P(SinkLogitTest, MarginEqualsTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  if (GetParam().relu) {
    EXPECT_EQ(values.count("d sink_logit_margin"), 0u);
    return;
  }
  std::vector<double> margin;
  for (int64_t h = 0; h < x.H; ++h) {
    margin.push_back(x.RowMean(
        h, 1, [&](auto, auto t) { return x.Sees(t, 0); },
        [&](auto b, auto head, auto t) {
          double rest = 0;
          for (int64_t k = 1; k <= t; ++k) rest += std::exp(x.S(b, head, t, k));
          return x.S(b, head, t, 0) - std::log(rest);
        }));
  }
  ExpectClose(values, "d sink_logit_margin", margin);
}

TEST_P(SinkLogitTest, DeltaLogitAveragesOnlyKeysBeforeTheQuery) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> delta;
  for (int64_t h = 0; h < x.H; ++h) {
    delta.push_back(x.RowMean(
        h, 2, [&](auto, auto t) { return x.Sees(t, 0); },
        [&](auto b, auto head, auto t) {
          double sum = 0;
          for (int64_t k = 1; k < t; ++k) sum += x.S(b, head, t, k);
          return x.S(b, head, t, 0) - sum / (t - 1);
        }));
  }
  ExpectClose(values, "d sink_delta_logit", delta);
}

TEST_P(SinkLogitTest, CosineEqualsTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> cosine;
  for (int64_t h = 0; h < x.H; ++h) {
    cosine.push_back(x.RowMean(
        h, 1, [&](auto, auto t) { return x.Sees(t, 0); },
        [&](auto b, auto head, auto t) { return x.CosineToSink(b, head, t); }));
  }
  ExpectClose(values, "d sink_qk_cosine", cosine);
}

INSTANTIATE_TEST_SUITE_P(Shapes, SinkLogitTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(SinkLogitMicroTest, EvenAttentionGivesMinusLogOfT) {
  LayerBatch batch = RandomLayer(Shape());
  batch.q_BHTE = at::zeros_like(batch.q_BHTE);
  const Values values = Measure({batch});
  double sum = 0;
  for (int t = 1; t < 17; ++t) sum -= std::log(t);
  ExpectClose(values, "d sink_logit_margin", std::vector<double>(4, sum / 16));
  ExpectClose(values, "d sink_delta_logit", std::vector<double>(4, 0));
  ExpectClose(values, "d sink_qk_cosine", std::vector<double>(4, 0));
}

// s[t,0] = delta, all others 0: the margin is delta - ln t. A share this close
// to 1 could not be turned into it in float32.
TEST(SinkLogitMicroTest, MarginDoesNotSaturate) {
  LayerBatch batch = RandomLayer(Shape());
  batch.q_BHTE.fill_(1);
  batch.k_BGTE.fill_(0);
  batch.k_BGTE.select(2, 0).fill_(10);
  const double delta = batch.attention.scale * 60;
  const Values values = Measure({batch});
  double sum = 0;
  for (int t = 1; t < 17; ++t) sum += delta - std::log(t);
  ExpectClose(values, "d sink_logit_margin", std::vector<double>(4, sum / 16));
  ExpectClose(values, "d sink_delta_logit", std::vector<double>(4, delta));
}

}  // namespace
}  // namespace sinkwatch::metrics::test

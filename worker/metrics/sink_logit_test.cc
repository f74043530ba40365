#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

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

// What `of_rows` makes of a head's rows from `first` on that see key 0, as mean
// over sequences.
double MeanOfSequences(
    const BruteForce& x, int64_t first,
    const std::function<double(int64_t b, int64_t t)>& value,
    const std::function<double(std::vector<double>)>& of_rows) {
  double mean = 0;
  for (int64_t b = 0; b < x.B; ++b) {
    std::vector<double> rows;
    for (int64_t t = first; t < x.T; ++t) {
      if (x.Sees(t, 0)) rows.push_back(value(b, t));
    }
    mean += of_rows(rows) / static_cast<double>(x.B);
  }
  return mean;
}

double DeviationOf(const std::vector<double>& rows) {
  double sum = 0, squares = 0;
  for (double row : rows) sum += row / static_cast<double>(rows.size());
  for (double row : rows) squares += (row - sum) * (row - sum);
  return std::sqrt(squares / static_cast<double>(rows.size()));
}

TEST_P(SinkLogitTest, TheSpreadOfDeltaLogitsIsThatOfASequencesRows) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch}, {}, {"sink_delta_logit_sd"});
  std::vector<double> spread;
  for (int64_t h = 0; h < x.H; ++h) {
    spread.push_back(MeanOfSequences(
        x, 2,
        [&](int64_t b, int64_t t) {
          double sum = 0;
          for (int64_t k = 1; k < t; ++k) sum += x.S(b, h, t, k);
          return x.S(b, h, t, 0) - sum / static_cast<double>(t - 1);
        },
        DeviationOf));
  }
  ExpectClose(values, "d sink_delta_logit_sd", spread);
}

TEST_P(SinkLogitTest, QuantilesOfTheMarginAreThoseOfASequencesRows) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values =
      Measure({batch}, {}, {"sink_logit_margin_q10", "sink_logit_margin_q90"});
  if (GetParam().relu) {
    EXPECT_EQ(values.count("d sink_logit_margin_q10"), 0u);
    return;
  }
  for (const auto& [name, share] :
       {std::make_pair("d sink_logit_margin_q10", .1),
        std::make_pair("d sink_logit_margin_q90", .9)}) {
    std::vector<double> expected;
    for (int64_t h = 0; h < x.H; ++h) {
      expected.push_back(MeanOfSequences(
          x, 1,
          [&](int64_t b, int64_t t) {
            double rest = 0;
            for (int64_t k = 1; k <= t; ++k) rest += std::exp(x.S(b, h, t, k));
            return x.S(b, h, t, 0) - std::log(rest);
          },
          [share = share](std::vector<double> rows) {
            return QuantileOf(std::move(rows), share);
          }));
    }
    ExpectClose(values, name, expected);
  }
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

TEST(SinkLogitMicroTest, AWindowThatHidesKeyZeroHasNoSpreadAndNoQuantile) {
  Shape shape;
  shape.window = 1;
  const Values values =
      Measure({RandomLayer(shape)}, {},
              {"sink_delta_logit_sd", "sink_logit_margin_q10"});
  EXPECT_TRUE(values.empty());
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

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

const std::vector<std::string> kMetrics = {
    "channel_median",    "channel_p95",           "channel_p99",
    "channel_ratio",     "massive_channels",      "channels_above_10",
    "channels_above_20", "channels_above_30",     "outlier_ratio",
    "massive_count",     "massive_count_relaxed", "residual_sink_dims"};

// A stream with a few large channels and tokens, so that no count is 0.
LayerBatch Spiked(const Shape& shape) {
  LayerBatch batch = RandomLayer(shape);
  at::Tensor& x_BTD = batch.resid_post_BTD;
  x_BTD.select(2, 3).add_(25);  // large on every token
  x_BTD.select(2, 5).select(1, 0).fill_(5000);
  x_BTD.select(2, 6).select(1, 2).fill_(-900);
  x_BTD.select(0, 1).select(0, 4).select(0, 7).fill_(-12);
  return batch;
}

class StreamChannelsTest : public ::testing::TestWithParam<Shape> {};

TEST_P(StreamChannelsTest, EqualsTheDefinition) {
  const LayerBatch batch = Spiked(GetParam());
  const BruteForce all(batch);
  const auto x = [&](int64_t b, int64_t t, int64_t j) {
    return all.resid_post()[(b * all.T + t) * all.D + j];
  };
  double median = 0, p95 = 0, p99 = 0, largest = 0, massive = 0, above[3] = {},
         outliers = 0, count = 0, relaxed = 0, sink_dims = 0;
  for (int64_t b = 0; b < all.B; ++b) {
    std::vector<double> maxima(all.D, 0), sizes;
    double mean = 0, variance = 0;
    std::vector<int> large(all.D, 0);
    for (int64_t t = 0; t < all.T; ++t) {
      double square = 0;
      for (int64_t j = 0; j < all.D; ++j) {
        square += x(b, t, j) * x(b, t, j) / all.D;
        maxima[j] = std::max(maxima[j], std::fabs(x(b, t, j)));
        sizes.push_back(std::fabs(x(b, t, j)));
        mean += x(b, t, j) / (all.T * all.D);
      }
      for (int64_t j = 0; j < all.D; ++j) {
        const double ratio = std::fabs(x(b, t, j)) / std::sqrt(square);
        outliers += ratio > 10;
        large[j] += ratio > 6;
      }
    }
    for (int64_t t = 0; t < all.T; ++t) {
      for (int64_t j = 0; j < all.D; ++j) {
        variance += std::pow(x(b, t, j) - mean, 2) / (all.T * all.D);
      }
    }
    for (int64_t j = 0; j < all.D; ++j) {
      massive += maxima[j] > 100 * QuantileOf(maxima, .5);
      for (int i = 0; i < 3; ++i) above[i] += maxima[j] > 10 * (i + 1);
      sink_dims += 2 * large[j] >= all.T;
    }
    for (double size : sizes) {
      count += size > 100 && size > 1000 * QuantileOf(sizes, .5);
      relaxed +=
          size > 100 * QuantileOf(sizes, .5) && size > 6 * std::sqrt(variance);
    }
    median += QuantileOf(maxima, .5);
    p95 += QuantileOf(maxima, .95);
    p99 += QuantileOf(maxima, .99);
    largest += *std::max_element(maxima.begin(), maxima.end());
  }
  const double B = static_cast<double>(all.B);
  const Values values = Measure({batch}, {}, kMetrics);
  ExpectClose(values, "d channel_median", {median / B});
  ExpectClose(values, "d channel_p95", {p95 / B});
  ExpectClose(values, "d channel_p99", {p99 / B});
  ExpectClose(values, "d channel_ratio", {largest / median});
  ExpectClose(values, "d massive_channels", {massive / B});
  ExpectClose(values, "d channels_above_10", {above[0] / B});
  ExpectClose(values, "d channels_above_20", {above[1] / B});
  ExpectClose(values, "d channels_above_30", {above[2] / B});
  ExpectClose(values, "d outlier_ratio", {outliers / (B * all.T * all.D)});
  ExpectClose(values, "d massive_count", {count / B});
  ExpectClose(values, "d massive_count_relaxed", {relaxed / B});
  ExpectClose(values, "d residual_sink_dims", {sink_dims / B});
  EXPECT_GT(massive * count * relaxed, 0) << "the test would see nothing";
}

// What holds of the block's output holds of the other places: each is given the
// same stream, times another number, and none of it to the output.
TEST_P(StreamChannelsTest, EveryPlaceHasTheStatisticsOfItsOwnStream) {
  const std::vector<std::string> statistics = {
      "channel_median",    "channel_p95",       "channel_p99",
      "channel_ratio",     "massive_channels",  "channels_above_10",
      "channels_above_20", "channels_above_30", "outlier_ratio"};
  LayerBatch batch = RandomLayer(GetParam());
  const at::Tensor x_BTD = Spiked(GetParam()).resid_post_BTD;
  batch.attn_out_BTD = x_BTD * .5;
  batch.resid_mid_BTD = x_BTD * .25;
  batch.mlp_out_BTD = x_BTD * 3;
  const std::pair<const char*, at::Tensor> places[] = {
      {"_attn", batch.attn_out_BTD},
      {"_mid", batch.resid_mid_BTD},
      {"_ffn", batch.mlp_out_BTD}};
  for (const auto& [suffix, of_BTD] : places) {
    LayerBatch alone = batch;
    alone.resid_post_BTD = of_BTD;
    const Values expected = Measure({alone}, {}, statistics);
    std::vector<std::string> names;
    for (const std::string& name : statistics) names.push_back(name + suffix);
    const Values values = Measure({batch}, {}, names);
    for (const std::string& name : statistics) {
      ExpectClose(values, "d " + name + suffix,
                  {expected.at("d " + name).values[0]});
    }
  }
}

TEST(StreamChannelsMicroTest, BesideAttentionTheMlpHasNothingBetweenThem) {
  LayerBatch batch = RandomLayer(Shape());
  batch.resid_mid_BTD = at::Tensor();
  const Values values =
      Measure({batch}, {}, {"channel_ratio_mid", "channel_ratio_ffn"});
  EXPECT_EQ(values.count("d channel_ratio_mid"), 0u);
  EXPECT_EQ(values.count("d channel_ratio_ffn"), 1u);
}

std::vector<Shape> OddAndWide() {
  Shape odd, wide;
  odd.name = "odd";
  odd.D = 25;
  wide.name = "wide";  // 10 RMS can be reached above 100 dims only
  wide.D = 160;
  wide.H = wide.G = 1;
  wide.E = 160;
  return {Shape(), odd, wide};
}

INSTANTIATE_TEST_SUITE_P(Shapes, StreamChannelsTest,
                         ::testing::ValuesIn(OddAndWide()),
                         [](const auto& info) { return info.param.name; });

TEST(StreamChannelsMicroTest, AChannelThatIsLargeEverywhereIsASinkDim) {
  Shape shape;
  shape.D = 160;
  shape.H = shape.G = 1;
  shape.E = 160;
  LayerBatch batch = RandomLayer(shape);
  batch.resid_post_BTD.select(2, 9).fill_(100);
  batch.resid_post_BTD.select(2, 11).slice(1, 0, 8).fill_(60);  // 8 of 17
  const Values values = Measure({batch}, {}, {"residual_sink_dims"});
  ExpectClose(values, "d residual_sink_dims", {1});
}

TEST(StreamChannelsMicroTest, WhatIsNotFiniteIsNoCount) {
  for (const std::string& metric : kMetrics) {
    LayerBatch batch = RandomLayer(Shape());
    batch.resid_post_BTD.select(0, 1).select(0, 2).select(0, 3).fill_(
        std::numeric_limits<float>::quiet_NaN());
    MeasurementOptions options;
    options.domains = {{"d", {}}};
    options.metrics = {metric};
    auto measurement = *MeasurementBuilder::Create(options);
    measurement->FoldLayer(batch);
    EXPECT_EQ(measurement->FinishLayer(0).status().code(),
              absl::StatusCode::kDataLoss)
        << metric;
  }
}

}  // namespace
}  // namespace sinkwatch::metrics::test

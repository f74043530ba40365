#include "server/exporter/native_histogram.h"

#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::exporter {
namespace {

// Index -> count, read back as Prometheus does.
std::map<int32_t, int64_t> BucketsOf(const NativeHistogram::Side& side) {
  std::map<int32_t, int64_t> buckets;
  int32_t index = 0;
  int64_t count = 0;
  size_t delta = 0;
  for (const auto& span : side.spans) {
    index += span.offset;
    for (uint32_t i = 0; i < span.length; ++i) {
      count += side.deltas[delta++];
      EXPECT_GE(count, 0);
      if (count > 0) buckets[index] = count;
      ++index;
    }
  }
  EXPECT_EQ(delta, side.deltas.size());
  return buckets;
}

TEST(NativeHistogramTest, BucketsHoldTheirUpperBoundAndNotTheirLower) {
  EXPECT_EQ(BucketOf(1), 0);
  EXPECT_EQ(BucketOf(2), 32);
  EXPECT_EQ(BucketOf(.5), -32);
  EXPECT_EQ(BucketOf(std::nextafter(1., 2.)), 1);
  EXPECT_EQ(BucketOf(.3), -55);
  for (int32_t bucket = -700; bucket < 4000; ++bucket) {
    EXPECT_EQ(BucketOf(UpperBound(bucket)), bucket);
    EXPECT_EQ(BucketOf(UpperBound(bucket) * (1 + 1e-9)), bucket + 1);
  }
}

TEST(NativeHistogramTest, EveryValueIsCountedOnceWhereItBelongs) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> exponent(-8, 4);
  std::vector<float> values;
  std::map<int32_t, int64_t> positive, negative;
  uint64_t zeros = 0;
  double sum = 0;
  for (int i = 0; i < 1000; ++i) {
    const float value = std::pow(10.f, exponent(random)) * (i % 3 ? 1 : -1);
    values.push_back(value);
    sum += value;
    if (std::abs(value) <= kZeroThreshold) {
      ++zeros;
    } else {
      ++(value > 0 ? positive : negative)[BucketOf(std::abs(value))];
    }
  }
  const NativeHistogram histogram = MakeNativeHistogram(values);
  EXPECT_EQ(histogram.count, 1000u);
  EXPECT_GT(zeros, 50u);
  EXPECT_EQ(histogram.zero_count, zeros);
  EXPECT_NEAR(histogram.sum, sum, std::abs(sum) * 1e-12);
  EXPECT_EQ(BucketsOf(histogram.positive), positive);
  EXPECT_EQ(BucketsOf(histogram.negative), negative);
}

TEST(NativeHistogramTest, NearBucketsShareASpanAndFarOnesDoNot) {
  const auto at = [](int32_t bucket) {
    return static_cast<float>(UpperBound(bucket) * .995);
  };
  const NativeHistogram histogram =
      MakeNativeHistogram({at(-40), at(-37), at(0), at(0)});
  ASSERT_EQ(histogram.positive.spans.size(), 2u);
  EXPECT_EQ(histogram.positive.spans[0].offset, -40);
  EXPECT_EQ(histogram.positive.spans[0].length, 4u);
  EXPECT_EQ(histogram.positive.spans[1].offset, 36);
  EXPECT_EQ(histogram.positive.deltas, (std::vector<int64_t>{1, -1, 0, 1, 1}));
  EXPECT_TRUE(histogram.negative.spans.empty());
}

TEST(NativeHistogramTest, NothingIsAnEmptyHistogram) {
  const NativeHistogram histogram = MakeNativeHistogram({});
  EXPECT_EQ(histogram.count, 0u);
  EXPECT_TRUE(histogram.positive.deltas.empty());
}

}  // namespace
}  // namespace sinkwatch::exporter

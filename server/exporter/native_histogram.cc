#include "server/exporter/native_histogram.h"

#include <cmath>
#include <map>

namespace sinkwatch::exporter {
namespace {

constexpr double kBucketsPerOctave = 1 << kHistogramSchema;
// A gap of so many empty buckets costs no more than a span of its own.
constexpr int32_t kSmallGap = 2;

NativeHistogram::Side SideOf(const std::map<int32_t, int64_t>& buckets) {
  NativeHistogram::Side side;
  int64_t before = 0;
  int32_t next = 0;  // the bucket after the last one written
  const auto add = [&](int64_t count) {
    ++side.spans.back().length;
    side.deltas.push_back(count - before);
    before = count;
  };
  for (const auto& [bucket, count] : buckets) {
    if (side.spans.empty() || bucket - next > kSmallGap) {
      side.spans.push_back({bucket - next, 0});
      next = bucket;
    }
    for (; next < bucket; ++next) add(0);
    add(count);
    ++next;
  }
  return side;
}

}  // namespace

double UpperBound(int32_t bucket) {
  return std::exp2(bucket / kBucketsPerOctave);
}

int32_t BucketOf(double magnitude) {
  auto bucket =
      static_cast<int32_t>(std::ceil(std::log2(magnitude) * kBucketsPerOctave));
  // The logarithm is rounded; at a bound that may be one too many or too few.
  while (magnitude > UpperBound(bucket)) ++bucket;
  while (magnitude <= UpperBound(bucket - 1)) --bucket;
  return bucket;
}

NativeHistogram MakeNativeHistogram(const std::vector<float>& values) {
  NativeHistogram histogram;
  std::map<int32_t, int64_t> positive, negative;
  for (float value : values) {
    ++histogram.count;
    histogram.sum += value;
    const double magnitude = std::abs(static_cast<double>(value));
    if (magnitude <= kZeroThreshold) {
      ++histogram.zero_count;
    } else {
      ++(value > 0 ? positive : negative)[BucketOf(magnitude)];
    }
  }
  histogram.positive = SideOf(positive);
  histogram.negative = SideOf(negative);
  return histogram;
}

}  // namespace sinkwatch::exporter

#ifndef SINKWATCH_SERVER_EXPORTER_NATIVE_HISTOGRAM_H_
#define SINKWATCH_SERVER_EXPORTER_NATIVE_HISTOGRAM_H_

#include <cstdint>
#include <vector>

namespace sinkwatch::exporter {

// Bucket i of a native histogram holds (b^(i-1), b^i] with b = 2^(2^-schema).
// With 5 a bucket is 2.2 % wide, so a share above a threshold is wrong by no
// more than the values within 2.2 % of it.
inline constexpr int kHistogramSchema = 5;
// Values no larger than that, of either sign, count as zero.
inline constexpr double kZeroThreshold = 1e-6;

// A Prometheus native histogram of a handful of values: only buckets that hold
// something cost anything.
struct NativeHistogram {
  struct Span {
    int32_t offset = 0;  // gap to the span before, or the first bucket's index
    uint32_t length = 0;
  };
  // Buckets of one sign; a bucket's count is a difference to the one before.
  struct Side {
    std::vector<Span> spans;
    std::vector<int64_t> deltas;
  };
  uint64_t count = 0;
  double sum = 0;
  uint64_t zero_count = 0;
  Side positive;
  Side negative;
};

// Of finite values.
NativeHistogram MakeNativeHistogram(const std::vector<float>& values);

// Index of the bucket of a magnitude above kZeroThreshold.
int32_t BucketOf(double magnitude);
// Largest value of a bucket.
double UpperBound(int32_t bucket);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_NATIVE_HISTOGRAM_H_

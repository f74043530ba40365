#ifndef SINKWATCH_SERVER_ANALYTICS_SEQUENCE_CONTRAST_H_
#define SINKWATCH_SERVER_ANALYTICS_SEQUENCE_CONTRAST_H_

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::analytics {

// What single sequences say of a difference of two domains. Values that are NaN
// (a sequence without such rows) are passed over; each other sequence counts
// the same, so that where sequences have different numbers of rows their mean
// is not quite that of all rows.

// The share of pairs in which the sequence of `high` has the larger value, a
// tie counting half. None if either has no value.
std::optional<double> Auroc(const std::vector<float>& high,
                            const std::vector<float>& low);

// The difference of the means over the standard deviation within a domain
// (pooled). None with fewer than two values in either, or where neither varies.
std::optional<double> CohensD(const std::vector<float>& high,
                              const std::vector<float>& low);

// Intervals by drawing sequences with replacement: 200 times from either
// domain, and the 2.5th and 97.5th percentile of the differences of their
// means. Which are drawn depends on how many there are and on nothing else: the
// same for every head, and the same in every answer.
//
// Thread-compatible.
class SequenceBootstrap {
 public:
  struct Interval {
    double low = 0;
    double high = 0;
  };

  // None with fewer than two values in either.
  std::optional<Interval> Of(const std::vector<float>& high,
                             const std::vector<float>& low);

  // Puts interval, AUROC, Cohen's d and numbers of sequences into a contrast
  // whose difference is known; leaves it as it is where there is no interval.
  void Tell(const std::vector<float>& high, const std::vector<float>& low,
            v1::Contrast* contrast);

 private:
  static constexpr int kSamples = 200;
  using Means = std::array<double, kSamples>;

  // How often sample r holds sequence i, at i * kSamples + r.
  const std::vector<double>& CountsOf(int stream, size_t sequences);
  Means MeansOf(int stream, const std::vector<float>& values);

  std::map<std::pair<int, size_t>, std::vector<double>> counts_;
};

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_SEQUENCE_CONTRAST_H_

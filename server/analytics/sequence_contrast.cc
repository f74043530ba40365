#include "server/analytics/sequence_contrast.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/analytics/fixed_random.h"
#include "server/analytics/order_statistics.h"

namespace sinkwatch::analytics {
namespace {

// The streams that the samples of the two domains are drawn from.
constexpr int kHigh = 1, kLow = 2;

std::vector<float> Known(const std::vector<float>& values) {
  std::vector<float> known;
  known.reserve(values.size());
  for (float value : values) {
    if (!std::isnan(value)) known.push_back(value);
  }
  return known;
}

double MeanOf(const std::vector<float>& values) {
  double sum = 0;
  for (float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double SquaresAround(double mean, const std::vector<float>& values) {
  double sum = 0;
  for (float value : values) sum += (value - mean) * (value - mean);
  return sum;
}

}  // namespace

// By the sum of the ranks of `high` (Mann and Whitney).
std::optional<double> Auroc(const std::vector<float>& high,
                            const std::vector<float>& low) {
  const std::vector<float> a = Known(high), b = Known(low);
  if (a.empty() || b.empty()) return std::nullopt;
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  const std::vector<double> ranks = RanksOf(all);
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += ranks[i];
  const double n = static_cast<double>(a.size());
  return (sum - n * (n + 1) / 2) / (n * static_cast<double>(b.size()));
}

std::optional<double> CohensD(const std::vector<float>& high,
                              const std::vector<float>& low) {
  const std::vector<float> a = Known(high), b = Known(low);
  if (a.size() < 2 || b.size() < 2) return std::nullopt;
  const double mean_a = MeanOf(a), mean_b = MeanOf(b);
  const double squares = SquaresAround(mean_a, a) + SquaresAround(mean_b, b);
  const double pooled =
      std::sqrt(squares / static_cast<double>(a.size() + b.size() - 2));
  if (!(pooled > 0)) return std::nullopt;
  return (mean_a - mean_b) / pooled;
}

const std::vector<double>& SequenceBootstrap::CountsOf(int stream,
                                                       size_t sequences) {
  std::vector<double>& counts = counts_[{stream, sequences}];
  if (!counts.empty()) return counts;
  counts.resize(sequences * kSamples);
  FixedRandom random(static_cast<uint64_t>(stream));
  for (int r = 0; r < kSamples; ++r) {
    for (size_t i = 0; i < sequences; ++i) {
      ++counts[random.Below(static_cast<int>(sequences)) * kSamples + r];
    }
  }
  return counts;
}

SequenceBootstrap::Means SequenceBootstrap::MeansOf(
    int stream, const std::vector<float>& values) {
  const double* counts = CountsOf(stream, values.size()).data();
  Means means = {};
  for (const double value : values) {
    for (int r = 0; r < kSamples; ++r) means[r] += value * counts[r];
    counts += kSamples;
  }
  for (double& mean : means) mean /= static_cast<double>(values.size());
  return means;
}

std::optional<SequenceBootstrap::Interval> SequenceBootstrap::Of(
    const std::vector<float>& high, const std::vector<float>& low) {
  const std::vector<float> a = Known(high), b = Known(low);
  if (a.size() < 2 || b.size() < 2) return std::nullopt;
  Means differences = MeansOf(kHigh, a);
  const Means of_low = MeansOf(kLow, b);
  for (int r = 0; r < kSamples; ++r) differences[r] -= of_low[r];
  std::sort(differences.begin(), differences.end());
  // Between the two nearest, as percentiles are read off.
  const auto percentile = [&](double share) {
    const double place = share * (kSamples - 1);
    const int below = static_cast<int>(place);
    return differences[below] +
           (place - below) * (differences[below + 1] - differences[below]);
  };
  return Interval{percentile(.025), percentile(.975)};
}

void SequenceBootstrap::Tell(const std::vector<float>& high,
                             const std::vector<float>& low,
                             v1::Contrast* contrast) {
  const std::optional<Interval> interval = Of(high, low);
  if (!interval.has_value()) return;
  contrast->set_low(interval->low);
  contrast->set_high(interval->high);
  contrast->set_method(v1::INTERVAL_METHOD_BOOTSTRAP);
  contrast->set_auroc(*Auroc(high, low));
  if (const auto d = CohensD(high, low); d.has_value()) {
    contrast->set_cohens_d(*d);
  }
  contrast->set_high_sequences(static_cast<int32_t>(Known(high).size()));
  contrast->set_low_sequences(static_cast<int32_t>(Known(low).size()));
}

}  // namespace sinkwatch::analytics

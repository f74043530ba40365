#include "worker/metrics/group_sums.h"

#include <limits>

#include "c10/util/Exception.h"

namespace sinkwatch::metrics {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

}  // namespace

void GroupSums::Fold(const BatchSums& sums, const Asked& asked, int64_t group) {
  const int64_t values = sums.values(asked.value);
  TORCH_CHECK(accumulator_.values() == values,
              "batches of a layer differ in their number of heads");
  for (int64_t b = 0; b < sums.sequences(); ++b) {
    for (int64_t i = 0; i < values; ++i) {
      const BatchSums::Sum value = sums.At(asked.value, b, i, group);
      SequenceSums sequence{value.sum, value.rows};
      if (reduction_ == Reduction::kRatio) {
        const BatchSums::Sum reference = sums.At(asked.reference, b, i, group);
        sequence.reference_sum = reference.sum;
        sequence.reference_rows = reference.rows;
      }
      accumulator_.Add(i, sequence);
      if (!by_sequence_) continue;
      sequences_.push_back(
          value.rows > 0 ? static_cast<float>(value.sum / value.rows) : kNone);
    }
  }
}

std::vector<float> GroupSums::SequenceValues() const {
  const size_t values = accumulator_.values();
  const size_t count = sequences_.size() / values;
  std::vector<float> by_value(sequences_.size());
  for (size_t i = 0; i < sequences_.size(); ++i) {
    by_value[i % values * count + i / values] = sequences_[i];
  }
  return by_value;
}

std::optional<MetricVector> GroupSums::FinishOfMeans() const {
  std::vector<double> means;
  for (int64_t i = 0; i < accumulator_.values(); ++i) {
    const std::optional<Estimate> estimate = accumulator_.Finish(i);
    if (!estimate) return std::nullopt;
    means.push_back(estimate->value);
  }
  MetricVector vector;
  vector.count = accumulator_.count();
  vector.values = {static_cast<float>(of_means_(means))};
  vector.standard_error = {kNone};
  return vector;
}

std::optional<MetricVector> GroupSums::Finish() const {
  if (of_means_ != nullptr) return FinishOfMeans();
  MetricVector vector;
  vector.count = accumulator_.count();
  bool defined = false;
  for (int64_t i = 0; i < accumulator_.values(); ++i) {
    std::optional<Estimate> estimate = accumulator_.Finish(i);
    if (!estimate && !sparse_) return std::nullopt;
    defined = defined || estimate;
    if (!estimate) estimate = Estimate{kNone};
    vector.values.push_back(static_cast<float>(estimate->value));
    vector.standard_error.push_back(
        static_cast<float>(estimate->standard_error));
  }
  if (!defined) return std::nullopt;
  if (by_sequence_) vector.sequence_values = SequenceValues();
  return vector;
}

}  // namespace sinkwatch::metrics

#ifndef SINKWATCH_WORKER_METRICS_GROUP_SUMS_H_
#define SINKWATCH_WORKER_METRICS_GROUP_SUMS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/metrics/accumulator.h"
#include "worker/metrics/batch_sums.h"
#include "worker/metrics/metric.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// A metric with its terms' places in the list that a batch is asked for.
struct Asked {
  size_t metric = 0;
  size_t value = 0;
  size_t reference = 0;
};

// One metric in one layer and domain, of one group of rows, folded batch by
// batch.
//
// Thread-compatible.
class GroupSums {
 public:
  // `by_sequence`: whether the values of sequences are kept.
  GroupSums(const Metric& metric, int64_t values, bool by_sequence)
      : sparse_(metric.descriptor.sparse),
        by_sequence_(by_sequence),
        reduction_(metric.reduction),
        of_means_(metric.of_means),
        accumulator_(metric.reduction, values) {}

  // The next sequences. A batch with another number of values throws
  // c10::Error.
  void Fold(const BatchSums& sums, const Asked& asked, int64_t group);

  // The values, without domain, name and layer; none where one of them is not
  // defined, or, of a sparse metric, all of them.
  std::optional<MetricVector> Finish() const;

 private:
  std::optional<MetricVector> FinishOfMeans() const;
  // Of a mean: value by value, all sequences of each.
  std::vector<float> SequenceValues() const;

  bool sparse_ = false;
  bool by_sequence_ = false;
  Reduction reduction_;
  double (*of_means_)(const std::vector<double>& means) = nullptr;
  Accumulator accumulator_;
  std::vector<float> sequences_;  // all values of each in turn
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_GROUP_SUMS_H_

#ifndef SINKWATCH_WORKER_METRICS_ROW_MEANS_H_
#define SINKWATCH_WORKER_METRICS_ROW_MEANS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/accumulator.h"

namespace sinkwatch::metrics {

// Means of one number per row of a sequence, over all rows and over those of
// each class, with the standard error over sequences: what losses and their
// differences are folded into.
//
// Thread-compatible.
class RowMeans {
 public:
  explicit RowMeans(int64_t classes = 0)
      : means_(1 + classes, Accumulator(Reduction::kMean, 1)) {}

  // The next sequences: values_BR, a number for each of their first R rows, on
  // any device; row_classes_BT, uint8 of T >= R rows, undefined without
  // classes.
  void Fold(const at::Tensor& values_BR, const at::Tensor& row_classes_BT);

  // 1 + classes: group 0 is all rows, group 1 + c those of class c.
  int64_t groups() const { return static_cast<int64_t>(means_.size()); }
  // None where the group has no rows. What is not finite comes out as it is.
  std::optional<Estimate> Finish(int64_t group) const {
    return means_[group].Finish(0);
  }
  // Rows behind it.
  int64_t count(int64_t group) const { return means_[group].count(); }

 private:
  std::vector<Accumulator> means_;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_ROW_MEANS_H_

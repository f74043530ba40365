#ifndef SINKWATCH_WORKER_METRICS_BATCH_SUMS_H_
#define SINKWATCH_WORKER_METRICS_BATCH_SUMS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "ATen/core/Tensor.h"
#include "c10/core/Event.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/layer_statistics.h"
#include "worker/metrics/metric.h"

namespace sinkwatch::metrics {

// Which rows count for which group: double [B,T,C], 1 or 0, on `device`. Group
// 0 is every row, group 1 + c the rows of class c.
at::Tensor RowGroups(const at::Tensor& row_classes_BT, int64_t classes,
                     int64_t sequences, int64_t tokens, at::Device device);

// A copy on the CPU that is there once the current stream is so far.
at::Tensor StartCopyToCpu(const at::Tensor& x);

// The sums over rows that the terms of one batch ask for, per sequence, value
// and group. All terms over the same rows are stacked and summed by one matrix
// product with the groups, on the batch's device and in double; only the sums
// come to the CPU. A GPU is not waited for before Wait: the sums are on their
// way there.
class BatchSums {
 public:
  BatchSums(LayerStatistics& statistics, const std::vector<Term>& terms,
            int64_t classes);

  // Until the sums are here; before At.
  void Wait();

  int64_t sequences() const { return sequences_; }
  // False where the term's rows are empty; then nothing else may be asked.
  bool Has(size_t term) const { return slots_[term].values > 0; }
  int64_t values(size_t term) const { return slots_[term].values; }

  struct Sum {
    double sum = 0;
    double rows = 0;
  };
  // Terms of whole sequences have group 0 only, with one "row" per sequence.
  Sum At(size_t term, int64_t sequence, int64_t value, int64_t group) const;

 private:
  struct Slot {
    size_t block = 0;
    int64_t offset = 0;
    int64_t values = 0;  // 0: no rows
  };

  void AddBlock(LayerStatistics& statistics, const std::vector<Term>& terms,
                Rows rows, const at::Tensor& groups_BTC);

  int64_t sequences_ = 0;
  std::vector<Slot> slots_;            // one per term
  std::vector<at::Tensor> blocks_;     // CPU, double [B, sum of values + 1, C]
  std::optional<c10::Event> arrived_;  // of a GPU's
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_BATCH_SUMS_H_

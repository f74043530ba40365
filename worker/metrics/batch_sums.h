#ifndef SINKWATCH_WORKER_METRICS_BATCH_SUMS_H_
#define SINKWATCH_WORKER_METRICS_BATCH_SUMS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "ATen/core/Tensor.h"
#include "c10/core/Event.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/layer_statistics.h"
#include "worker/metrics/metric.h"

namespace sinkwatch::metrics {

// A copy on the CPU that is there once the current stream is so far.
at::Tensor StartCopyToCpu(const at::Tensor& x);

// The sums over rows that the terms of one batch ask for, per sequence, value
// and group: group 0 is every row, group 1 + c the rows of class c. All terms
// are folded by one operator (kernels::FoldRows), on the batch's device and in
// double; only the sums come to the CPU. A GPU is not waited for before Wait:
// the sums are on their way there.
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
    Rows rows = Rows::kWholeSequence;
    int64_t offset = 0;
    int64_t values = 0;  // 0: no rows
    // What is still to be made of the sums over so many rows.
    OfRows of_rows = OfRows::kLargest;
    double bound = 0;
    double count = 1;
  };

  // Of term i; none where it has no rows. Fills its slot.
  std::optional<kernels::RowTerm> RowTermOf(LayerStatistics& statistics,
                                            const Term& term, Slot& slot);
  void CountRows(const LayerBatch& batch, Rows rows, QueryRows range);
  void FinishSequences(const Slot& slot);
  double& SumAt(const Slot& slot, int64_t sequence, int64_t value,
                int64_t group) const {
    return sums_[(sequence * all_values_ + slot.offset + value) * groups_ +
                 group];
  }

  int64_t sequences_ = 0;
  int64_t groups_ = 1;
  std::vector<Slot> slots_;  // one per term
  // Rows by sequence and group, for each Rows.
  std::array<std::vector<double>, kNumRows> counts_;
  at::Tensor sums_BNC_;  // CPU, double; undefined without rows
  double* sums_ = nullptr;
  int64_t all_values_ = 0;
  std::optional<c10::Event> arrived_;  // of a GPU's
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_BATCH_SUMS_H_

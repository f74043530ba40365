#ifndef SINKWATCH_WORKER_METRICS_METRIC_H_
#define SINKWATCH_WORKER_METRICS_METRIC_H_

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/kernels/row_fold.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/layer_statistics.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// What a mean runs over. All but the last are ranges of rows of a sequence.
enum class Rows {
  kFirst,          // t = 0
  kAll,            // t >= 0
  kRest,           // t >= 1
  kSeesSink,       // t >= 1 whose window contains key 0
  kPastSeesSink,   // t >= 2 whose window contains key 0
  kWholeSequence,  // one number per sequence
};
constexpr size_t kNumRows = 6;

// A half-open run of rows of a sequence. Empty where no row qualifies.
struct QueryRows {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end > begin ? end - begin : 0; }
};
QueryRows QueryRowsOf(Rows rows, int64_t tokens, int64_t window);

// What is made of the rows of a sequence where the term is of whole sequences.
enum class OfRows {
  kLargest,        // of x
  kSum,            // of x
  kMeanAbove,      // 1 where their mean is above `bound`, else 0
  kMeanOverMeans,  // their mean over that of all N; 0 where that is 0
};

// A number per row that is never written down: kernels::RowTerm without the
// rows, which the term has.
struct Quantity {
  kernels::RowTerm row;
  // Of whole sequences only, with the first row that counts.
  OfRows of_rows = OfRows::kLargest;
  double bound = 0;
  int64_t first_row = 0;
};

// A number per row, [B,N,T], or per sequence, [B,N], on the batch's device: N
// is H, G or 1 by the metric's scope. Rows outside the range may hold anything.
// As a tensor, or as what it is made of.
using Plane = std::variant<at::Tensor (*)(LayerStatistics&),
                           Quantity (*)(LayerStatistics&)>;

struct Term {
  Rows rows = Rows::kRest;
  Plane plane;
  bool operator==(const Term& other) const {
    return rows == other.rows && plane == other.plane;
  }
  // Whether there is a plane.
  bool empty() const {
    return std::visit([](auto of) { return of == nullptr; }, plane);
  }
};

// A metric of head, key/value head or layer scope, as data: what it means, what
// it needs, and how a batch becomes sums. A family's file holds a table of
// these (README.md: how to add a metric).
struct Metric {
  Descriptor descriptor;
  unsigned needs = 0;  // Needs, or-ed
  Reduction reduction = Reduction::kMean;
  Term value;      // kMax: one number per sequence
  Term reference;  // kRatio only: the denominator
  // kMean only: the one value that is made of the means of all numbers, such as
  // those of X experts. It has no error.
  double (*of_means)(const std::vector<double>& means) = nullptr;
  // Also given for classes of rows: true for what averages over query rows.
  bool by_class = false;
  // Whether the definition has a meaning for this batch; null: always.
  bool (*applies)(const LayerBatch&) = nullptr;
};

// Conditions that several families share, for Metric::applies.
bool IsSoftmax(const LayerBatch& batch);
// Whether rows need not add up to 1: ReLU, learned sinks.
bool LosesMass(const LayerBatch& batch);
bool EveryRowSeesSink(const LayerBatch& batch);
// Whether a row t >= 1 sees a column beside its own.
bool SeesPrevious(const LayerBatch& batch);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_METRIC_H_

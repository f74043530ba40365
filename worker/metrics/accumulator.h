#ifndef SINKWATCH_WORKER_METRICS_ACCUMULATOR_H_
#define SINKWATCH_WORKER_METRICS_ACCUMULATOR_H_

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace sinkwatch::metrics {

enum class Reduction {
  kMean,   // mean of a quantity over rows
  kRatio,  // mean of one quantity / mean of another
  kMax,    // maximum
};

// What one sequence contributes to one value.
struct SequenceSums {
  double sum = 0;            // over its rows; kMax: its maximum
  double rows = 0;           // how many
  double reference_sum = 0;  // kRatio: the same of the denominator
  double reference_rows = 0;
};

struct Estimate {
  double value = 0;
  // Over sequences, which are independent where rows are not. NaN where it
  // cannot be told: one sequence, or a maximum.
  double standard_error = std::numeric_limits<double>::quiet_NaN();
};

// Folds sequences into sums and sums of products in double, so that the result
// depends neither on how sequences were grouped nor, beyond rounding, on their
// order, and memory not on their number.
//
// The value is a function f of the totals S = sum of x_i, where x_i are the
// sums of sequence i. f does not change when S is scaled, so with g its
// gradient g.S = 0 and the delta method gives
//   SE^2 = m/(m-1) sum_i (g.x_i)^2 = m/(m-1) g'(sum_i x_i x_i')g,
// the usual ratio estimator for a mean over unequal numbers of rows.
class Accumulator {
 public:
  Accumulator(Reduction reduction, int64_t values);

  // A sequence without rows adds nothing.
  void Add(int64_t value, const SequenceSums& sums);

  int64_t values() const { return static_cast<int64_t>(moments_.size()); }
  // Rows (of the numerator) behind each value.
  int64_t count() const;

  // None where the definition gives no number: no rows, or a ratio whose
  // denominator is 0. What is not finite comes out as it is.
  std::optional<Estimate> Finish(int64_t value) const;

 private:
  static constexpr int kComponents = 4;
  struct Moments {
    std::array<double, kComponents> sum = {};
    std::array<std::array<double, kComponents>, kComponents> product = {};
    int64_t sequences = 0;
  };

  static double StandardError(const Moments& moments,
                              const std::array<double, kComponents>& gradient);

  Reduction reduction_;
  std::vector<Moments> moments_;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_ACCUMULATOR_H_

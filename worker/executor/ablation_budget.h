#ifndef SINKWATCH_WORKER_EXECUTOR_ABLATION_BUDGET_H_
#define SINKWATCH_WORKER_EXECUTOR_ABLATION_BUDGET_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "worker/model/architecture.h"

namespace sinkwatch::executor {

// What ablations may cost beside a measurement, kept twice. As work: weights
// multiplied, per sequence, which decides beforehand what is begun and is the
// same on every machine; the measurement's own work is that of its forward pass
// without its statistics, so that the share of its time is below the share of
// its work. And as time: where it goes otherwise (a loaded machine, products
// too small to be fast), what the clock says ends streams early.
//
// Thread-compatible.
class AblationBudget {
 public:
  // `share` of the measurement of so many sequences; none: no bound.
  // `seconds`: a steady clock.
  AblationBudget(const model::Architecture& architecture, int64_t sequences,
                 std::optional<double> share, std::function<double()> seconds);

  bool bounded() const { return share_.has_value(); }

  // Sequences that each of `variants` streams may have, if they begin in layers
  // all over the model.
  int64_t SequencesOf(int64_t variants) const;

  // Whether a stream of so many sequences from `layer` on is within the work
  // that is left; takes it from there.
  bool Take(int64_t sequences, int layer);

  // Time between these two is the ablations'; all other is the measurement's.
  void Enter();
  void Leave();
  // `sequences` went through `layer`, by streams of ablations.
  void Did(int64_t sequences, int layer);
  // Whether what is alive after `layer` will, at the pace so far, have taken
  // its share of the time at the end.
  bool IsInTime(int layer, int64_t alive_sequences) const;

 private:
  // Weights that a sequence is multiplied by from `layer` to the loss.
  double WorkFrom(int layer) const;

  const std::optional<double> share_;
  const std::function<double()> seconds_;
  std::vector<double> from_;  // by layer; the last is the loss alone
  const int64_t sequences_;
  double left_ = 0;
  double started_ = 0, entered_ = 0, spent_ = 0, work_done_ = 0;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_ABLATION_BUDGET_H_

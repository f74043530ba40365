#ifndef SINKWATCH_WORKER_EXECUTOR_SELECTIVITY_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_SELECTIVITY_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/executor/side_run.h"
#include "worker/metrics/selectivity.h"

namespace sinkwatch::executor {

// Synthetic sequences through the layers, for the selectivity of heads. The
// output matrix has no part in it.
class SelectivityRun final : public SideRun {
 public:
  SelectivityRun(const model::Architecture& architecture,
                 std::vector<std::string> metrics, int64_t tokens_per_batch);

  at::Tensor tokens() const override { return sequences_.tokens_NT; }
  void Start(const Embed& embed) override;
  void RunLayer(int layer, const model::TensorMap& weights) override;
  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override;

 private:
  const model::Architecture& architecture_;
  const std::vector<std::string> metrics_;
  const int64_t tokens_per_batch_;
  // None where the model has no room for them.
  const metrics::SyntheticSequences sequences_;
  std::vector<at::Tensor> x_BTD_;  // by batch
  std::vector<metrics::MetricVector> values_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_SELECTIVITY_RUN_H_

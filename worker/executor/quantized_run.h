#ifndef SINKWATCH_WORKER_EXECUTOR_QUANTIZED_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_QUANTIZED_RUN_H_

#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/executor/picked_stream.h"
#include "worker/executor/side_run.h"

namespace sinkwatch::executor {

// `weight` (at least two dimensions) with each run of 128 numbers of a row (the
// last is shorter) rounded to the nearest of 2^bits - 1 evenly spaced levels
// around 0, the outermost at the run's largest size. In float32; the result has
// the weight's dtype.
at::Tensor RoundedToBits(const at::Tensor& weight, int bits);

// What rounding the weights costs: streams that go through rounded matrices.
class QuantizedRun final : public SideRun {
 public:
  // `plain`: the same sequences as they are; in RunLayer as they enter it. All
  // must outlive the run.
  QuantizedRun(const model::Architecture& architecture,
               const std::vector<PickedDomain>& domains,
               const std::vector<std::string>& metrics, at::Device device,
               const PickedStream& plain);

  void RunLayer(int layer, const model::TensorMap& weights) override;
  void AddHeadSlice(const model::TensorMap& head, int64_t first) override;
  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override;

 private:
  struct Stream {
    int bits = 0;
    PickedStream stream;
  };

  const std::vector<PickedDomain>& domains_;
  const PickedStream& plain_;
  std::vector<Stream> streams_;
  absl::Status status_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_QUANTIZED_RUN_H_

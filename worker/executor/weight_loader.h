#ifndef SINKWATCH_WORKER_EXECUTOR_WEIGHT_LOADER_H_
#define SINKWATCH_WORKER_EXECUTOR_WEIGHT_LOADER_H_

#include <future>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/model/architecture.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::executor {

// A part of a model's weights.
struct WeightRequest {
  std::vector<model::TensorSpec> specs;
  // The spec of which not all is wanted; empty: all of everything.
  std::string part_of = {};
  // What of it: a run of rows of a whole that is asked for in turn, or, where
  // it is empty, the picked rows.
  checkpoint::RowRange slice = {};
  std::vector<checkpoint::RowRange> picked = {};
};

// Reads the weights of one part of a model at a time, on a thread of its own,
// so that the next part is read while this one computes. At most one part is
// under way. What is returned lies on the compute device in the compute dtype.
class WeightLoader {
 public:
  // `checkpoint` must outlive the loader and is used by its thread only, from
  // Prefetch until the matching Take.
  WeightLoader(checkpoint::Checkpoint& checkpoint, at::Device device,
               at::ScalarType dtype);
  // Waits for a part that is under way.
  ~WeightLoader();

  WeightLoader(const WeightLoader&) = delete;
  WeightLoader& operator=(const WeightLoader&) = delete;

  // Starts reading. The part before it must have been taken.
  void Prefetch(WeightRequest request);
  // Waits for the part and hands it over, by the short names of its specs;
  // errors as Checkpoint::ReadTensor.
  absl::StatusOr<model::TensorMap> Take();

  // Seconds that Take has waited so far.
  double waited_seconds() const { return waited_seconds_; }

 private:
  absl::StatusOr<model::TensorMap> Read(const WeightRequest& request);
  absl::StatusOr<at::Tensor> ReadOne(const WeightRequest& request,
                                     const model::TensorSpec& spec);

  checkpoint::Checkpoint& checkpoint_;
  const at::Device device_;
  const at::ScalarType dtype_;
  std::future<absl::StatusOr<model::TensorMap>> next_;
  double waited_seconds_ = 0;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_WEIGHT_LOADER_H_

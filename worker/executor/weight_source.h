#ifndef SINKWATCH_WORKER_EXECUTOR_WEIGHT_SOURCE_H_
#define SINKWATCH_WORKER_EXECUTOR_WEIGHT_SOURCE_H_

#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/model/architecture.h"

// From what a checkpoint stores to what a forward pass wants: the naming scheme
// is found, fused matrices are cut, and rows are put into the order that
// model::Arrangement says. Errors are those of Checkpoint::ReadTensor.
namespace sinkwatch::executor {

// What is wanted of a tensor that a spec names.
struct WeightPart {
  enum Kind {
    kWhole,
    kSlice,   // a run of rows of a whole that is read in turn: `rows[0]`
    kPicked,  // picked rows, one range after the other; in no digest
  };
  Kind kind = kWhole;
  std::vector<checkpoint::RowRange> rows = {};
};

// How a tensor comes about: rows of one stored tensor are read, then arranged.
struct WeightPlan {
  const model::TensorSource* source = nullptr;  // in the spec
  bool digested = false;
  std::vector<checkpoint::RowRange> stored_rows;  // to be read
  std::vector<checkpoint::RowRange> taken_rows;   // of the arranged; empty: all
  std::vector<int64_t> stored_shape;              // of what is read
  at::ScalarType stored_type = at::ScalarType::Undefined;
};

// From the first of the spec's sources whose name is there; of a fused tensor
// just its own rows are read, of an arranged one all of them. Reads nothing.
// `spec` must outlive the plan.
absl::StatusOr<WeightPlan> PlanWeight(const checkpoint::Checkpoint& checkpoint,
                                      const model::TensorSpec& spec,
                                      const WeightPart& part);

// The rows that the plan reads.
absl::StatusOr<checkpoint::RowsReader> OpenWeight(
    checkpoint::Checkpoint& checkpoint, const WeightPlan& plan);

// From what was read to what is wanted, on the device that `stored` is on.
at::Tensor ArrangeWeight(const WeightPlan& plan, const at::Tensor& stored);

// All of that at once: the tensor, or the part of it, on the CPU, in the stored
// dtype.
absl::StatusOr<at::Tensor> ReadWeight(checkpoint::Checkpoint& checkpoint,
                                      const model::TensorSpec& spec,
                                      const WeightPart& part = {});

// Before anything is read: that every tensor of the model is there with its
// shape and a dtype that can be read. DATA_LOSS or UNIMPLEMENTED names the
// first that is not; UNIMPLEMENTED also if not one name is known. Tensors that
// the model does not ask for are named in one warning in the log, but for
// buffers that trainers save by habit.
absl::Status CheckWeights(const model::Architecture& architecture,
                          const checkpoint::Checkpoint& checkpoint);

// A warning in the log for each copy of the tensor (TensorSpec::copies) that is
// there and not the same in `rows`.
void WarnOfOtherCopies(checkpoint::Checkpoint& checkpoint,
                       const model::TensorSpec& spec,
                       const std::vector<checkpoint::RowRange>& rows);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_WEIGHT_SOURCE_H_

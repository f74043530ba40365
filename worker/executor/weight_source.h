#ifndef SINKWATCH_WORKER_EXECUTOR_WEIGHT_SOURCE_H_
#define SINKWATCH_WORKER_EXECUTOR_WEIGHT_SOURCE_H_

#include <cstdint>
#include <string>
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
  const model::TensorSource* source = nullptr;  // in the spec; null: a constant
  // It is of several runs of rows or of several tensors, or of none: there is
  // nothing to open, ReadWeight makes it.
  bool whole_only = false;
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

// The rows that the plan reads; not of a plan that is `whole_only`.
absl::StatusOr<checkpoint::RowsReader> OpenWeight(
    checkpoint::Checkpoint& checkpoint, const WeightPlan& plan);

// From what was read to what is wanted, on the device that `stored` is on.
at::Tensor ArrangeWeight(const WeightPlan& plan, const at::Tensor& stored);

// All of that at once: the tensor, or the part of it, on the CPU, in the stored
// dtype.
absl::StatusOr<at::Tensor> ReadWeight(checkpoint::Checkpoint& checkpoint,
                                      const model::TensorSpec& spec,
                                      const WeightPart& part = {});

// Tensors of a checkpoint that its model does not ask for, but for buffers that
// trainers save by habit and layers behind the last (ModelShape).
struct UnusedTensors {
  int64_t count = 0;
  std::vector<std::string> first;  // by name, at most 5
};

// Before anything is read: that every tensor of the model is there with its
// shape and a dtype that can be read. The first that is not is an error:
//   UNIMPLEMENTED  its dtype; or it is not there, and tensors are that nobody
//                  asks for: names of another scheme
//   DATA_LOSS      it has another shape; or it is not there, and nothing else
//                  is; or there are layers (or experts) above the config's
//                  number
absl::StatusOr<UnusedTensors> CheckWeights(
    const model::Architecture& architecture,
    const checkpoint::Checkpoint& checkpoint);

// A warning in the log if a matrix that the config ties to another is stored
// for itself and differs in `rows` (TensorSpec::own).
void WarnIfNotTied(checkpoint::Checkpoint& checkpoint,
                   const model::TensorSpec& spec,
                   const std::vector<checkpoint::RowRange>& rows);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_WEIGHT_SOURCE_H_

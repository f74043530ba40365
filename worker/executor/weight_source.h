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

// The tensor of `spec`, from the first of its sources whose name is there; on
// the CPU, in the stored dtype. Of a fused tensor just its own rows are read.
absl::StatusOr<at::Tensor> ReadWeight(checkpoint::Checkpoint& checkpoint,
                                      const model::TensorSpec& spec);

// The same of a run of the tensor's rows: a part of a whole that is read in
// turn.
absl::StatusOr<at::Tensor> ReadWeightSlice(checkpoint::Checkpoint& checkpoint,
                                           const model::TensorSpec& spec,
                                           checkpoint::RowRange rows);

// The same of picked rows, one range after the other; as
// checkpoint::Checkpoint::ReadRows, in no digest.
absl::StatusOr<at::Tensor> ReadWeightRows(
    checkpoint::Checkpoint& checkpoint, const model::TensorSpec& spec,
    const std::vector<checkpoint::RowRange>& ranges);

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

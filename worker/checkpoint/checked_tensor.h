#ifndef SINKWATCH_WORKER_CHECKPOINT_CHECKED_TENSOR_H_
#define SINKWATCH_WORKER_CHECKPOINT_CHECKED_TENSOR_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/dtype.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/checkpoint/tensor_reader.h"

// A stored tensor as one of LibTorch, its values checked. Errors name the file
// and the tensor.
namespace sinkwatch::checkpoint {

// Undefined where LibTorch has no such type.
at::ScalarType ScalarTypeOf(const Dtype& dtype);

// OK if ReadChecked would read `tensor` as one of `shape`: DATA_LOSS for
// another shape, UNIMPLEMENTED for a dtype that is not float32, bfloat16,
// float16 or float64.
absl::Status CheckReadable(const Contents& contents, const StoredTensor& tensor,
                           const std::vector<int64_t>& shape);

// The rows in `ranges`, one range after the other, of a tensor that passes
// CheckReadable: on the CPU, contiguous, in the file's dtype. DATA_LOSS if a
// value is not finite or the file is not the one that was opened; NOT_FOUND if
// that one is gone; RESOURCE_EXHAUSTED if there is no memory for it; else as
// ReadRows and LocatePieces.
absl::StatusOr<at::Tensor> ReadChecked(const Contents& contents,
                                       const StoredTensor& tensor,
                                       const std::vector<RowRange>& ranges);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CHECKED_TENSOR_H_

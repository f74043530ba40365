#ifndef SINKWATCH_WORKER_CHECKPOINT_TENSOR_READER_H_
#define SINKWATCH_WORKER_CHECKPOINT_TENSOR_READER_H_

#include <cstdint>

#include "absl/status/status.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// A run of rows (dimension 0) of a tensor.
struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
};

// Fills `out` with rows `range` of `tensor`, dense and row-major, gathered from
// its pieces. The range is inside the tensor; a tensor of rank 0 has one row.
// Of a dense piece just the bytes asked for are read; of a strided one, those
// between its first and its last element, into scratch memory of that size.
//
// Errors are those of File; UNIMPLEMENTED for strides that leave more than 15
// of 16 bytes unused. Item sizes below a byte are a programmer's error.
absl::Status ReadRows(const Contents& contents, const StoredTensor& tensor,
                      RowRange range, void* out);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_TENSOR_READER_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_CHECKED_TENSOR_H_
#define SINKWATCH_WORKER_CHECKPOINT_CHECKED_TENSOR_H_

#include <cstdint>
#include <string>
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

// OK if CheckedRows would read `tensor` as one of `shape`: DATA_LOSS for
// another shape, UNIMPLEMENTED for a dtype that is not float32, bfloat16,
// float16 or float64.
absl::Status CheckReadable(const Contents& contents, const StoredTensor& tensor,
                           const std::vector<int64_t>& shape);

// Picked rows of a tensor that passes CheckReadable, on their way into memory:
// read in parts, in any order, by any number of threads at a time. A row is
// counted within the picked ones, one range after the other.
//
// Errors of all methods name the file and the tensor; codes as ReadRows and
// LocatePieces.
class CheckedRows {
 public:
  // Finds the rows' places in the files (LocatePieces); `contents` must outlive
  // the object.
  static absl::StatusOr<CheckedRows> Open(const Contents& contents,
                                          const StoredTensor& tensor,
                                          std::vector<RowRange> ranges);

  // Of all picked rows together; rank 0 stays rank 0, as one row.
  const std::vector<int64_t>& shape() const { return shape_; }
  at::ScalarType type() const { return type_; }
  int64_t rows() const { return rows_; }
  int64_t row_bytes() const { return row_bytes_; }

  // Fills `out` with the rows of `part`, dense, in the file's dtype. DATA_LOSS
  // if a value is not finite or the file is not the one that was opened;
  // NOT_FOUND if that one is gone. Thread-safe.
  absl::Status Read(RowRange part, void* out) const;

  // That the files of the tensor are those that were opened.
  absl::Status CheckFiles() const;
  // RESOURCE_EXHAUSTED: there is no memory to read these rows to.
  absl::Status NoMemory() const;

 private:
  CheckedRows(const Contents& contents, StoredTensor located,
              std::vector<RowRange> ranges);
  absl::Status Fill(RowRange part, char* out) const;
  absl::Status FillRun(RowRange run, char* out) const;
  std::string FileOffset(int64_t element) const;

  const Contents* contents_;
  StoredTensor located_;
  bool dense_;  // in one file, row by row
  std::vector<RowRange> ranges_;
  std::vector<int64_t> first_of_range_;  // the picked row that each begins with
  std::vector<int64_t> shape_;
  at::ScalarType type_;
  int64_t rows_ = 0;
  int64_t row_bytes_ = 0;
};

// How many rows make a part that still lies in a core's cache when it is
// checked and hashed; at least one.
int64_t RowsOfPart(int64_t row_bytes);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CHECKED_TENSOR_H_

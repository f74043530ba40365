#ifndef SINKWATCH_WORKER_CHECKPOINT_STORED_TENSOR_H_
#define SINKWATCH_WORKER_CHECKPOINT_STORED_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/checkpoint/dtype.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {

// The most tensors that are read of one checkpoint, whatever the container.
inline constexpr size_t kMaxTensors = 100 * 1000;
// And of one tensor.
inline constexpr size_t kMaxRank = 8;
inline constexpr size_t kMaxNameBytes = 512;

// A box of a tensor's elements that lie in one file. Element (i, j, ...) of the
// box is at byte offset + (i * strides[0] + j * strides[1] + ...) * item size.
struct Piece {
  size_t file = 0;     // index into Contents::files
  int64_t offset = 0;  // of the box's first element, from the file's first byte
  // All three have the tensor's rank.
  std::vector<int64_t> start;    // where the box begins in the tensor
  std::vector<int64_t> sizes;    // of the box
  std::vector<int64_t> strides;  // in elements, none negative
  // Where this is not 0, the box is instead the one tensor in an archive of
  // torch.save that fills [offset, offset + archive_bytes) of the file; it has
  // no strides. A checkpoint of hundreds of ranks has hundreds of thousands of
  // these, so they are located when they are read: LocatePieces.
  int64_t archive_bytes = 0;
  // Of such an archive that holds a stack of boxes: its leading sizes, and
  // which of them is this one. Empty: the archive holds just the box.
  std::vector<int64_t> archive_stack = {};
  std::vector<int64_t> archive_slab = {};
};

// Which tensor of a stack is meant: a number for each leading dimension, one of
// a stack of layers, two of layers of experts. Empty: the tensor itself.
using Slab = std::vector<int64_t>;

// A tensor as a container holds it. The container's reader has checked that the
// pieces (at least one) are inside their files and that each element is in
// exactly one.
struct StoredTensor {
  std::string name;
  const Dtype* dtype = nullptr;
  std::vector<int64_t> shape;
  std::vector<Piece> pieces;
};

// What the weights of a checkpoint are, whatever the container: a container is
// a function that makes one of these and reads no weights.
struct Contents {
  std::vector<std::unique_ptr<files::File>> files;  // opened once, kept open
  std::vector<StoredTensor> tensors;  // in any order, names unique
};

// Tensor `slab` of a stack, under the stack's name. Each number is inside the
// stack, whose rank is at least as many.
StoredTensor SlabOf(const StoredTensor& stack, const Slab& slab);

// How many rows of a stack of this shape lie before those of `slab`.
int64_t RowsBefore(const std::vector<int64_t>& shape, const Slab& slab);

// Strides, in elements, of a dense row-major tensor; of one without elements,
// ones.
std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& sizes);

// The one piece of a dense row-major tensor of this shape.
Piece WholePiece(size_t file, int64_t offset,
                 const std::vector<int64_t>& shape);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_STORED_TENSOR_H_

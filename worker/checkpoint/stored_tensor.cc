#include "worker/checkpoint/stored_tensor.h"

#include <algorithm>
#include <utility>

namespace sinkwatch::checkpoint {

namespace {

std::vector<int64_t> WithoutFirst(const std::vector<int64_t>& numbers) {
  return numbers.empty()
             ? numbers
             : std::vector<int64_t>(numbers.begin() + 1, numbers.end());
}

// Whether the piece has something of the tensor `slab` of its stack.
bool Holds(const Piece& piece, const Slab& slab) {
  for (size_t i = 0; i < slab.size(); ++i) {
    if (slab[i] < piece.start[i] ||
        slab[i] >= piece.start[i] + piece.sizes[i]) {
      return false;
    }
  }
  return true;
}

// What a piece has of row `index`, which is one of its own.
Piece ElementOf(const Piece& piece, int64_t index, int64_t item_bytes) {
  const int64_t row = index - piece.start[0];
  Piece element = piece;
  element.start = WithoutFirst(piece.start);
  element.sizes = WithoutFirst(piece.sizes);
  element.strides = WithoutFirst(piece.strides);
  if (piece.archive_bytes > 0) {
    element.archive_stack.push_back(piece.sizes[0]);
    element.archive_slab.push_back(row);
  } else {
    element.offset += row * piece.strides[0] * item_bytes;
  }
  return element;
}

}  // namespace

StoredTensor SlabOf(const StoredTensor& stack, const Slab& slab) {
  StoredTensor tensor{stack.name, stack.dtype, stack.shape, {}};
  tensor.shape.erase(tensor.shape.begin(), tensor.shape.begin() + slab.size());
  for (const Piece& piece : stack.pieces) {
    if (!Holds(piece, slab)) continue;
    Piece part = piece;
    for (int64_t index : slab) {
      part = ElementOf(part, index, stack.dtype->bits / 8);
    }
    tensor.pieces.push_back(std::move(part));
  }
  return tensor;
}

int64_t RowsBefore(const std::vector<int64_t>& shape, const Slab& slab) {
  if (slab.empty()) return 0;
  int64_t tensors = 0;
  for (size_t i = 0; i < slab.size(); ++i) {
    tensors = tensors * shape.at(i) + slab[i];
  }
  return slab.size() < shape.size() ? tensors * shape[slab.size()] : tensors;
}

std::vector<int64_t> RowMajorStrides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size(), 1);
  // Beside a zero, the other dimensions may have a product that overflows.
  if (std::count(sizes.begin(), sizes.end(), 0) > 0) return strides;
  for (size_t i = sizes.size(); i > 1; --i) {
    strides[i - 2] = strides[i - 1] * sizes[i - 1];
  }
  return strides;
}

Piece WholePiece(size_t file, int64_t offset,
                 const std::vector<int64_t>& shape) {
  return {file, offset, std::vector<int64_t>(shape.size(), 0), shape,
          RowMajorStrides(shape)};
}

}  // namespace sinkwatch::checkpoint

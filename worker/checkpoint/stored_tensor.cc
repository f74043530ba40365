#include "worker/checkpoint/stored_tensor.h"

#include <algorithm>

namespace sinkwatch::checkpoint {

namespace {

std::vector<int64_t> WithoutFirst(const std::vector<int64_t>& numbers) {
  return numbers.empty()
             ? numbers
             : std::vector<int64_t>(numbers.begin() + 1, numbers.end());
}

// What a piece has of row `index`, which is one of its own.
Piece SlabOf(const Piece& piece, int64_t index, int64_t item_bytes) {
  const int64_t row = index - piece.start[0];
  Piece slab = piece;
  slab.start = WithoutFirst(piece.start);
  slab.sizes = WithoutFirst(piece.sizes);
  slab.strides = WithoutFirst(piece.strides);
  if (piece.archive_bytes > 0) {
    slab.archive_stack = piece.sizes[0];
    slab.archive_slab = row;
  } else {
    slab.offset += row * piece.strides[0] * item_bytes;
  }
  return slab;
}

}  // namespace

StoredTensor SlabOf(const StoredTensor& stack, int64_t index) {
  StoredTensor slab{stack.name, stack.dtype, WithoutFirst(stack.shape), {}};
  for (const Piece& piece : stack.pieces) {
    if (index < piece.start[0] || index >= piece.start[0] + piece.sizes[0]) {
      continue;
    }
    slab.pieces.push_back(SlabOf(piece, index, stack.dtype->bits / 8));
  }
  return slab;
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

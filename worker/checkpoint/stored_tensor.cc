#include "worker/checkpoint/stored_tensor.h"

#include <algorithm>

namespace sinkwatch::checkpoint {

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

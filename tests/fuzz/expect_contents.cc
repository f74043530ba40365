#include "tests/fuzz/expect_contents.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/tensor_reader.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::Contents;
using checkpoint::Piece;
using checkpoint::StoredTensor;

// Wide enough for the product of any two sizes or strides.
using Wide = __int128;

constexpr int64_t kMaxBytesRead = 1 << 12;
// Of all tensors together: each is a call of the system.
constexpr int64_t kMaxRowsRead = 1 << 12;

Wide NumberOf(const std::vector<int64_t>& sizes) {
  Wide number = 1;
  for (int64_t size : sizes) {
    Expect(size >= 0, "no size is negative");
    number *= size;
    Expect(number >> 62 == 0, "the number of elements fits in 62 bits");
  }
  return number;
}

void ExpectInTensor(const Piece& piece, const StoredTensor& tensor) {
  const size_t rank = tensor.shape.size();
  Expect(piece.start.size() == rank && piece.sizes.size() == rank,
         "a piece has the rank of its tensor");
  for (size_t i = 0; i < rank; ++i) {
    Expect(piece.start[i] >= 0 && piece.sizes[i] >= 0 &&
               Wide{piece.start[i]} + piece.sizes[i] <= tensor.shape[i],
           "a piece is inside its tensor");
  }
}

void ExpectInFile(const Piece& piece, const StoredTensor& tensor,
                  const Contents& contents) {
  Expect(piece.file < contents.files.size(), "a piece has a file");
  Expect(piece.strides.size() == tensor.shape.size(), "a piece has strides");
  if (NumberOf(piece.sizes) == 0) return;
  Wide last = 0;
  for (size_t i = 0; i < piece.sizes.size(); ++i) {
    Expect(piece.strides[i] >= 0, "no stride is negative");
    last += Wide{piece.sizes[i] - 1} * piece.strides[i];
  }
  const Wide end = piece.offset * Wide{8} + (last + 1) * tensor.dtype->bits;
  Expect(
      piece.offset >= 0 && end <= Wide{8} * contents.files[piece.file]->size(),
      "a piece is inside its file");
}

// A piece without elements overlaps nothing.
bool Overlap(const Piece& a, const Piece& b) {
  if (NumberOf(a.sizes) == 0 || NumberOf(b.sizes) == 0) return false;
  for (size_t i = 0; i < a.start.size(); ++i) {
    if (a.start[i] >= b.start[i] + b.sizes[i]) return false;
    if (b.start[i] >= a.start[i] + a.sizes[i]) return false;
  }
  return true;
}

// Reading is refused only for strides that leave much unused.
bool CanBeRefused(const absl::Status& status) {
  return absl::IsUnimplemented(status);
}

// Reads the tensor whole and row by row, unless that would take long.
void ExpectReads(const StoredTensor& tensor, const Contents& contents,
                 int64_t* rows_left) {
  const Wide bytes = NumberOf(tensor.shape) * tensor.dtype->bits / 8;
  const int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
  if (tensor.dtype->bits < 8 || bytes > kMaxBytesRead) return;
  if (rows > *rows_left) return;
  *rows_left -= rows;
  std::string whole(static_cast<size_t>(bytes), '\x5a');
  const absl::Status status =
      checkpoint::ReadRows(contents, tensor, {0, rows}, whole.data());
  Expect(status.ok() || CanBeRefused(status), "a tensor is read");
  if (!status.ok() || bytes == 0) return;
  std::string by_rows(whole.size(), '\xa5');
  const int64_t row_bytes = static_cast<int64_t>(whole.size()) / rows;
  for (int64_t row = 0; row < rows; ++row) {
    const absl::Status read = checkpoint::ReadRows(
        contents, tensor, {row, 1}, by_rows.data() + row * row_bytes);
    Expect(read.ok() || CanBeRefused(read), "a row is read");
    if (!read.ok()) return;
  }
  Expect(by_rows == whole, "rows are the tensor's, and all of it is written");
}

}  // namespace

void ExpectCover(const StoredTensor& tensor) {
  Wide number = 0;
  Expect(!tensor.pieces.empty(), "a tensor has a piece");
  for (size_t i = 0; i < tensor.pieces.size(); ++i) {
    ExpectInTensor(tensor.pieces[i], tensor);
    number += NumberOf(tensor.pieces[i].sizes);
    for (size_t j = 0; j < i; ++j) {
      Expect(!Overlap(tensor.pieces[i], tensor.pieces[j]),
             "no element is in two pieces");
    }
  }
  Expect(number == NumberOf(tensor.shape), "each element is in a piece");
}

void ExpectContents(const Contents& contents) {
  std::set<std::string> names;
  int64_t rows_left = kMaxRowsRead;
  Expect(contents.tensors.size() <= checkpoint::kMaxTensors,
         "tensors are not too many");
  for (const StoredTensor& tensor : contents.tensors) {
    Expect(names.insert(tensor.name).second, "a name is there once");
    Expect(tensor.dtype != nullptr, "a tensor has a dtype");
    ExpectCover(tensor);
    for (const Piece& piece : tensor.pieces) {
      ExpectInFile(piece, tensor, contents);
    }
    ExpectReads(tensor, contents, &rows_left);
  }
}

}  // namespace sinkwatch::fuzz

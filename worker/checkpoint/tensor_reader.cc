#include "worker/checkpoint/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr int64_t kMaxScratchBytes = 16 << 20;  // of a dense piece
constexpr int64_t kSparsest = 16;               // span : elements

int64_t ProductFrom(const std::vector<int64_t>& sizes, size_t first) {
  int64_t product = 1;
  for (size_t i = first; i < sizes.size(); ++i) product *= sizes[i];
  return product;
}

// Copies the elements of a box between two places with strides (in elements),
// in runs of the trailing dimensions that are dense on both sides.
class BoxCopy {
 public:
  BoxCopy(std::vector<int64_t> sizes, std::vector<int64_t> from_strides,
          std::vector<int64_t> to_strides, int64_t item)
      : sizes_(std::move(sizes)),
        from_strides_(std::move(from_strides)),
        to_strides_(std::move(to_strides)),
        item_(item) {
    run_ = 1;
    depth_ = sizes_.size();
    while (depth_ > 0 && from_strides_[depth_ - 1] == run_ &&
           to_strides_[depth_ - 1] == run_) {
      run_ *= sizes_[--depth_];
    }
  }

  // Whether the whole box is one run.
  bool dense() const { return depth_ == 0; }

  void Copy(const char* from, char* to) const { CopyFrom(0, from, to); }

 private:
  void CopyFrom(size_t dimension, const char* from, char* to) const {
    if (dimension == depth_) {
      std::memcpy(to, from, run_ * item_);
      return;
    }
    for (int64_t i = 0; i < sizes_[dimension]; ++i) {
      CopyFrom(dimension + 1, from + i * from_strides_[dimension] * item_,
               to + i * to_strides_[dimension] * item_);
    }
  }

  const std::vector<int64_t> sizes_, from_strides_, to_strides_;
  const int64_t item_;
  size_t depth_;  // dimensions outside of a run
  int64_t run_;   // elements
};

// One piece of one tensor, read into the rows of `out` that it covers.
class PieceReader {
 public:
  PieceReader(const files::File& file, const Piece& piece,
              const std::vector<int64_t>& shape, int64_t item)
      : file_(file),
        piece_(piece),
        item_(item),
        to_strides_(RowMajorStrides(shape)) {}

  // Rows [begin, end) of the tensor, all of them in the piece; `out` is where
  // the tensor's row `first` goes.
  absl::Status Read(int64_t begin, int64_t end, int64_t first,
                    char* out) const {
    for (size_t i = 1; i < to_strides_.size(); ++i) {
      out += piece_.start[i] * to_strides_[i] * item_;
    }
    const int64_t rows = RowsAtATime(end - begin);
    for (int64_t row = begin; row < end; row += rows) {
      absl::Status status =
          ReadBlock(row - piece_.start[0], std::min(rows, end - row),
                    out + (row - first) * to_strides_[0] * item_);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  std::vector<int64_t> BlockSizes(int64_t rows) const {
    std::vector<int64_t> sizes = piece_.sizes;
    sizes[0] = rows;
    return sizes;
  }

  // Elements from the first to the last of so many rows.
  int64_t Span(int64_t rows) const {
    int64_t last = 0;
    const std::vector<int64_t> sizes = BlockSizes(rows);
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] == 0) return 0;
      last += (sizes[i] - 1) * piece_.strides[i];
    }
    return last + 1;
  }

  bool IsDense(int64_t rows) const {
    return BoxCopy(BlockSizes(rows), piece_.strides, to_strides_, item_)
        .dense();
  }

  int64_t RowsAtATime(int64_t rows) const {
    if (IsDense(rows)) return rows;
    const int64_t row_bytes = std::max<int64_t>(1, Span(1) * item_);
    return std::clamp<int64_t>(kMaxScratchBytes / row_bytes, 1, rows);
  }

  absl::Status ReadBlock(int64_t row, int64_t rows, char* out) const {
    const int64_t span = Span(rows);
    const int64_t offset = piece_.offset + row * piece_.strides[0] * item_;
    const std::vector<int64_t> sizes = BlockSizes(rows);
    if (span == 0) return absl::OkStatus();
    const BoxCopy copy(sizes, piece_.strides, to_strides_, item_);
    if (copy.dense()) return file_.ReadAt(offset, span * item_, out);
    if (span / kSparsest > ProductFrom(sizes, 0)) {
      return absl::UnimplementedError(
          absl::StrCat(file_.path(), ": strides of ", span, " elements for ",
                       ProductFrom(sizes, 0), " are not read"));
    }
    std::vector<char> scratch(span * item_);
    absl::Status status = file_.ReadAt(offset, span * item_, scratch.data());
    if (status.ok()) copy.Copy(scratch.data(), out);
    return status;
  }

  const files::File& file_;
  const Piece& piece_;
  const int64_t item_;
  const std::vector<int64_t> to_strides_;
};

absl::Status ReadPiece(const Contents& contents, const StoredTensor& tensor,
                       const Piece& piece, RowRange range, char* out) {
  const int64_t begin = std::max(range.first, piece.start[0]);
  const int64_t end =
      std::min(range.first + range.count, piece.start[0] + piece.sizes[0]);
  if (begin >= end) return absl::OkStatus();
  const PieceReader reader(*contents.files[piece.file], piece, tensor.shape,
                           tensor.dtype->bits / 8);
  return reader.Read(begin, end, range.first, out);
}

}  // namespace

absl::Status ReadRows(const Contents& contents, const StoredTensor& tensor,
                      RowRange range, void* out) {
  if (tensor.shape.empty()) {
    const Piece& piece = tensor.pieces.front();
    return contents.files[piece.file]->ReadAt(piece.offset,
                                              tensor.dtype->bits / 8, out);
  }
  for (const Piece& piece : tensor.pieces) {
    absl::Status status =
        ReadPiece(contents, tensor, piece, range, static_cast<char*>(out));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::checkpoint

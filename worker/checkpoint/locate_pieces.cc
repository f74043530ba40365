#include "worker/checkpoint/locate_pieces.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/checkpoint/container/torch_archive.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

bool HasRowsIn(const Piece& piece, const std::vector<RowRange>& ranges) {
  if (piece.start.empty()) return true;  // rank 0: the one row
  return std::any_of(ranges.begin(), ranges.end(), [&](const RowRange& range) {
    return range.first < piece.start[0] + piece.sizes[0] &&
           piece.start[0] < range.first + range.count;
  });
}

absl::StatusOr<Piece> LocateArchive(const files::File& file, const Dtype& dtype,
                                    Piece piece) {
  absl::StatusOr<ArchivedTensor> archived =
      ReadTorchTensor({&file, piece.offset, piece.archive_bytes});
  if (!archived.ok()) return archived.status();
  std::vector<int64_t> sizes = piece.archive_stack;
  sizes.insert(sizes.end(), piece.sizes.begin(), piece.sizes.end());
  if (archived->sizes != sizes || archived->dtype != &dtype) {
    return absl::DataLossError(absl::StrCat(
        file.path(), ": the archive at byte ", piece.offset, " holds [",
        absl::StrJoin(archived->sizes, ","), "] of ", archived->dtype->name,
        ", .metadata says [", absl::StrJoin(sizes, ","), "] of ", dtype.name));
  }
  piece.offset = archived->offset;
  piece.strides = std::move(archived->strides);
  for (int64_t index : piece.archive_slab) {
    piece.offset += index * piece.strides[0] * (dtype.bits / 8);
    piece.strides.erase(piece.strides.begin());
  }
  piece.archive_bytes = 0;
  piece.archive_stack.clear();
  piece.archive_slab.clear();
  return piece;
}

}  // namespace

absl::StatusOr<StoredTensor> LocatePieces(const Contents& contents,
                                          const StoredTensor& tensor,
                                          const std::vector<RowRange>& ranges) {
  StoredTensor located = {tensor.name, tensor.dtype, tensor.shape, {}};
  for (const Piece& piece : tensor.pieces) {
    if (!HasRowsIn(piece, ranges)) continue;
    if (piece.archive_bytes == 0) {
      located.pieces.push_back(piece);
      continue;
    }
    absl::StatusOr<Piece> found =
        LocateArchive(*contents.files[piece.file], *tensor.dtype, piece);
    if (!found.ok()) {
      return absl::Status(found.status().code(),
                          absl::StrCat(found.status().message(), " (tensor ",
                                       files::Quoted(tensor.name), ")"));
    }
    located.pieces.push_back(*std::move(found));
  }
  return located;
}

}  // namespace sinkwatch::checkpoint

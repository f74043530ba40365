#include "worker/checkpoint/checked_tensor.h"

#include <algorithm>
#include <exception>
#include <set>
#include <string>
#include <utility>

#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/finite.h"
#include "worker/checkpoint/locate_pieces.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

struct TypeOfDtype {
  absl::string_view dtype;
  at::ScalarType type;
  bool readable;
};
constexpr TypeOfDtype kTypes[] = {
    {"F32", at::kFloat, true},
    {"BF16", at::kBFloat16, true},
    {"F16", at::kHalf, true},
    {"F64", at::kDouble, true},
    {"BOOL", at::kBool, false},
    {"U8", at::kByte, false},
    {"I8", at::kChar, false},
    {"I16", at::kShort, false},
    {"U16", at::kUInt16, false},
    {"I32", at::kInt, false},
    {"U32", at::kUInt32, false},
    {"I64", at::kLong, false},
    {"U64", at::kUInt64, false},
    {"C64", at::kComplexFloat, false},
    {"F8_E5M2", at::kFloat8_e5m2, false},
    {"F8_E4M3", at::kFloat8_e4m3fn, false},
};

TypeOfDtype TypeOf(const Dtype& dtype) {
  for (const TypeOfDtype& type : kTypes) {
    if (type.dtype == dtype.name) return type;
  }
  return {dtype.name, at::ScalarType::Undefined, false};
}

// What is wrong with reading `tensor` as `shape`, or OK.
absl::Status CheckTypeAndShape(const StoredTensor& tensor,
                               const std::vector<int64_t>& shape) {
  if (!TypeOf(*tensor.dtype).readable) {
    return absl::UnimplementedError(
        absl::StrCat("dtype ", tensor.dtype->name, " is not implemented"));
  }
  if (tensor.shape == shape) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("has shape [", absl::StrJoin(tensor.shape, ","),
                   "], the config asks for [", absl::StrJoin(shape, ","), "]"));
}

// Rows are 256 KiB at a time: half of the second cache of most cores.
constexpr int64_t kPartBytes = 256 << 10;

// `error` with the file and the tensor that it is about.
absl::Status AtTensor(const Contents& contents, const StoredTensor& tensor,
                      const absl::Status& error) {
  const std::string& path = contents.files[tensor.pieces.front().file]->path();
  return absl::Status(
      error.code(), absl::StrCat(path, ": tensor ", files::Quoted(tensor.name),
                                 ": ", error.message()));
}

bool IsDense(const StoredTensor& tensor) {
  return tensor.pieces.size() == 1 && tensor.pieces[0].sizes == tensor.shape &&
         tensor.pieces[0].strides == RowMajorStrides(tensor.shape);
}

// That the files of a tensor are those that were opened.
absl::Status CheckFilesOf(const Contents& contents,
                          const StoredTensor& tensor) {
  std::set<size_t> files;
  for (const Piece& piece : tensor.pieces) files.insert(piece.file);
  for (size_t file : files) {
    RETURN_IF_ERROR(contents.files[file]->CheckUnchanged());
  }
  return absl::OkStatus();
}

}  // namespace

at::ScalarType ScalarTypeOf(const Dtype& dtype) { return TypeOf(dtype).type; }

absl::Status CheckReadable(const Contents& contents, const StoredTensor& tensor,
                           const std::vector<int64_t>& shape) {
  absl::Status status = CheckTypeAndShape(tensor, shape);
  return status.ok() ? status : AtTensor(contents, tensor, status);
}

int64_t RowsOfPart(int64_t row_bytes) {
  return std::max<int64_t>(1, kPartBytes / std::max<int64_t>(1, row_bytes));
}

absl::StatusOr<CheckedRows> CheckedRows::Open(const Contents& contents,
                                              const StoredTensor& tensor,
                                              std::vector<RowRange> ranges) {
  absl::StatusOr<StoredTensor> located = LocatePieces(contents, tensor, ranges);
  if (!located.ok()) {
    RETURN_IF_ERROR(CheckFilesOf(contents, tensor));
    return located.status();
  }
  return CheckedRows(contents, *std::move(located), std::move(ranges));
}

CheckedRows::CheckedRows(const Contents& contents, StoredTensor located,
                         std::vector<RowRange> ranges)
    : contents_(&contents),
      located_(std::move(located)),
      dense_(IsDense(located_)),
      ranges_(std::move(ranges)),
      shape_(located_.shape),
      type_(ScalarTypeOf(*located_.dtype)) {
  for (const RowRange& range : ranges_) {
    first_of_range_.push_back(rows_);
    rows_ += range.count;
  }
  row_bytes_ = located_.dtype->bits / 8;
  for (size_t i = 1; i < shape_.size(); ++i) row_bytes_ *= shape_[i];
  if (!shape_.empty()) shape_[0] = rows_;
}

absl::Status CheckedRows::CheckFiles() const {
  return CheckFilesOf(*contents_, located_);
}

absl::Status CheckedRows::Fill(RowRange part, char* out) const {
  const int64_t end = part.first + part.count;
  size_t i = std::upper_bound(first_of_range_.begin(), first_of_range_.end(),
                              part.first) -
             first_of_range_.begin();
  for (i = i == 0 ? 0 : i - 1; part.first < end; ++i) {
    const int64_t skipped = part.first - first_of_range_[i];
    const int64_t count =
        std::min(ranges_[i].count - skipped, end - part.first);
    if (count <= 0) continue;
    RETURN_IF_ERROR(FillRun({ranges_[i].first + skipped, count}, out));
    out += count * row_bytes_;
    part.first += count;
  }
  return absl::OkStatus();
}

// Of the tensor's own rows. Of single rows, as a probe picks them, there are
// many thousands.
absl::Status CheckedRows::FillRun(RowRange run, char* out) const {
  if (!dense_) return ReadRows(*contents_, located_, run, out);
  const Piece& piece = located_.pieces.front();
  return contents_->files[piece.file]->ReadAt(
      piece.offset + run.first * row_bytes_, run.count * row_bytes_, out);
}

absl::Status CheckedRows::Read(RowRange part, void* out) const {
  const absl::Status read = Fill(part, static_cast<char*>(out));
  const int64_t bytes = part.count * row_bytes_;
  const int64_t item = located_.dtype->bits / 8;
  const int64_t found =
      read.ok() ? FirstNonFinite(out, bytes / item, type_) : -1;
  if (read.ok() && found < 0) return read;
  // A rewritten file says so before its content is judged.
  RETURN_IF_ERROR(CheckFiles());
  RETURN_IF_ERROR(read);
  const int64_t element = part.first * (row_bytes_ / item) + found;
  return AtTensor(
      *contents_, located_,
      absl::DataLossError(absl::StrCat("element ", element, FileOffset(element),
                                       " is not finite")));
}

absl::Status CheckedRows::NoMemory() const {
  return AtTensor(*contents_, located_,
                  absl::ResourceExhaustedError(absl::StrCat(
                      "no memory for [", absl::StrJoin(shape_, ","), "] of ",
                      located_.dtype->name)));
}

// " (file offset N)" where the element's place in its file is plain to see.
std::string CheckedRows::FileOffset(int64_t element) const {
  const StoredTensor& tensor = located_;
  if (!dense_ || ranges_.size() != 1) return "";
  const int64_t row_size =
      tensor.shape.empty() ? 1 : tensor.pieces[0].strides[0];
  const int64_t offset =
      tensor.pieces[0].offset +
      (ranges_[0].first * row_size + element) * (tensor.dtype->bits / 8);
  return absl::StrCat(" (file offset ", offset, ")");
}

}  // namespace sinkwatch::checkpoint

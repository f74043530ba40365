#include "worker/checkpoint/checked_tensor.h"

#include <algorithm>
#include <exception>
#include <set>
#include <string>

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

absl::StatusOr<at::Tensor> Allocate(const StoredTensor& tensor,
                                    const std::vector<RowRange>& ranges) {
  std::vector<int64_t> shape = tensor.shape;
  if (!shape.empty()) {
    shape[0] = 0;
    for (const RowRange& range : ranges) shape[0] += range.count;
  }
  try {
    return at::empty(shape, TypeOf(*tensor.dtype).type);
  } catch (const std::exception&) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for [", absl::StrJoin(shape, ","), "] of ",
                     tensor.dtype->name));
  }
}

int64_t RowsOf(const at::Tensor& tensor) {
  return tensor.dim() == 0 ? 1 : tensor.size(0);
}

// `error` with the file and the tensor that it is about.
absl::Status AtTensor(const Contents& contents, const StoredTensor& tensor,
                      const absl::Status& error) {
  const std::string& path = contents.files[tensor.pieces.front().file]->path();
  return absl::Status(
      error.code(), absl::StrCat(path, ": tensor ", files::Quoted(tensor.name),
                                 ": ", error.message()));
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

// " (file offset N)" where the element's place in its file is plain to see.
std::string FileOffset(const StoredTensor& tensor,
                       const std::vector<RowRange>& ranges, int64_t element) {
  const bool dense = tensor.pieces.size() == 1 && ranges.size() == 1 &&
                     tensor.pieces[0].sizes == tensor.shape &&
                     tensor.pieces[0].strides == RowMajorStrides(tensor.shape);
  if (!dense) return "";
  const int64_t row_size =
      tensor.shape.empty() ? 1 : tensor.pieces[0].strides[0];
  const int64_t offset =
      tensor.pieces[0].offset +
      (ranges[0].first * row_size + element) * (tensor.dtype->bits / 8);
  return absl::StrCat(" (file offset ", offset, ")");
}

// Fills `tensor` with the rows.
absl::Status Fill(const Contents& contents, const StoredTensor& located,
                  const std::vector<RowRange>& ranges,
                  const at::Tensor& tensor) {
  char* out = static_cast<char*>(tensor.mutable_data_ptr());
  const int64_t row_bytes = tensor.numel() * tensor.element_size() /
                            std::max<int64_t>(1, RowsOf(tensor));
  for (const RowRange& range : ranges) {
    RETURN_IF_ERROR(ReadRows(contents, located, range, out));
    out += row_bytes * range.count;
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

absl::StatusOr<at::Tensor> ReadChecked(const Contents& contents,
                                       const StoredTensor& stored,
                                       const std::vector<RowRange>& ranges) {
  absl::StatusOr<at::Tensor> tensor = Allocate(stored, ranges);
  if (!tensor.ok()) return AtTensor(contents, stored, tensor.status());
  const absl::StatusOr<StoredTensor> located =
      LocatePieces(contents, stored, ranges);
  const absl::Status read = located.ok()
                                ? Fill(contents, *located, ranges, *tensor)
                                : located.status();
  // A rewritten file says so before its content is judged.
  RETURN_IF_ERROR(CheckFilesOf(contents, stored));
  RETURN_IF_ERROR(read);
  const int64_t i = FirstNonFinite(*tensor);
  if (i < 0) return tensor;
  return AtTensor(
      contents, stored,
      absl::DataLossError(absl::StrCat(
          "element ", i, FileOffset(*located, ranges, i), " is not finite")));
}

}  // namespace sinkwatch::checkpoint

#include "worker/checkpoint/container/safetensors.h"

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/checkpoint/container/foreign_format.h"
#include "worker/checkpoint/container/safetensors_header.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr int64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytesOfFormat = 100 * 1000 * 1000;
// The format's JSON schema bounds every integer by this.
constexpr uint64_t kMaxInteger = (uint64_t{1} << 48) - 1;
constexpr absl::string_view kLfsPointer = "version https://git-lfs";

absl::Status TensorError(const HeaderEntry& entry, absl::string_view rule) {
  return absl::DataLossError(
      absl::StrCat("tensor ", files::Quoted(entry.name), ": ", rule));
}

// a *= b, or false if that does not fit.
bool MultiplyChecked(uint64_t& a, uint64_t b) {
  return !__builtin_mul_overflow(a, b, &a);
}

// Bytes that shape and dtype need.
absl::StatusOr<uint64_t> BytesOf(const HeaderEntry& entry, const Dtype& dtype) {
  uint64_t bits = dtype.bits;
  for (uint64_t dimension : entry.shape) {
    if (!MultiplyChecked(bits, dimension)) {
      return TensorError(
          entry, absl::StrCat("shape [", absl::StrJoin(entry.shape, ","),
                              "] of ", dtype.name, " overflows 64 bits"));
    }
  }
  for (uint64_t dimension : entry.shape) {
    if (dimension > kMaxInteger) {
      return TensorError(
          entry, absl::StrCat("dimension ", dimension, " is above 2^48 - 1"));
    }
  }
  if (bits % 8 != 0) {
    return TensorError(
        entry, absl::StrCat("shape [", absl::StrJoin(entry.shape, ","), "] of ",
                            dtype.name, " does not fill its last byte"));
  }
  return bits / 8;
}

absl::StatusOr<SafetensorsEntry> CheckEntry(const HeaderEntry& entry) {
  const Dtype* dtype = FindDtype(entry.dtype);
  if (dtype == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("tensor ", files::Quoted(entry.name), ": unknown dtype ",
                     files::Quoted(entry.dtype)));
  }
  absl::StatusOr<uint64_t> bytes = BytesOf(entry, *dtype);
  if (!bytes.ok()) return bytes.status();
  const uint64_t begin = entry.offsets[0];
  const uint64_t end = entry.offsets[1];
  const std::string range =
      absl::StrCat("data_offsets [", begin, ",", end, "] ");
  if (begin > end) {
    return TensorError(entry, absl::StrCat(range, "end before they begin"));
  }
  if (end > kMaxInteger) {
    return TensorError(entry, absl::StrCat(range, "are above 2^48 - 1"));
  }
  if (end - begin != *bytes) {
    return TensorError(
        entry, absl::StrCat(range, "hold ", end - begin, " bytes, but shape [",
                            absl::StrJoin(entry.shape, ","), "] of ",
                            dtype->name, " needs ", *bytes));
  }
  SafetensorsEntry checked;
  checked.name = entry.name;
  checked.dtype = dtype;
  checked.shape.assign(entry.shape.begin(), entry.shape.end());
  checked.begin = static_cast<int64_t>(begin);
  checked.end = static_cast<int64_t>(end);
  return checked;
}

// That the entries, which are sorted by their offsets, follow one another
// without a gap and end where the data ends.
absl::Status CheckCover(const std::vector<SafetensorsEntry>& entries,
                        int64_t data_bytes) {
  int64_t end = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != end) {
      return absl::DataLossError(absl::StrCat(
          "tensor ", files::Quoted(entry.name), ": begins at data byte ",
          entry.begin, entry.begin < end ? ", an overlap: " : ", a hole: ",
          "the bytes before it end at ", end));
    }
    end = entry.end;
  }
  if (end > data_bytes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "incomplete: the header names ", end, " bytes of data, ", data_bytes,
        " are there; the last tensor is ", files::Quoted(entries.back().name)));
  }
  if (end < data_bytes) {
    return absl::DataLossError(absl::StrCat(data_bytes - end,
                                            " trailing bytes after the last "
                                            "tensor"));
  }
  return absl::OkStatus();
}

absl::Status WithPath(const std::string& path, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat(path, ": ", error.message()));
}

// The length field, with the rules that need nothing but the file's size.
absl::StatusOr<uint64_t> ReadHeaderLength(const files::File& file) {
  std::array<unsigned char, 32> start = {};
  const int64_t num_start = std::min<int64_t>(start.size(), file.size());
  if (absl::Status s = file.ReadAt(0, num_start, start.data()); !s.ok()) {
    return s;
  }
  absl::string_view text(reinterpret_cast<char*>(start.data()), num_start);
  if (absl::StartsWith(text, kLfsPointer)) {
    return absl::FailedPreconditionError(absl::StrCat(
        file.path(), ": a Git LFS pointer, the file itself is not there yet"));
  }
  if (file.size() < kLengthBytes) {
    return absl::FailedPreconditionError(
        absl::StrCat(file.path(), ": incomplete: ", file.size(),
                     " bytes, the header's length alone has 8"));
  }
  uint64_t length = 0;
  for (int i = kLengthBytes - 1; i >= 0; --i) length = length << 8 | start[i];
  return length;
}

absl::Status CheckHeaderLength(const files::File& file, uint64_t length) {
  if (length == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(file.path(),
                     ": incomplete: begins with eight zero bytes, as a file "
                     "that was given its size and not yet its content"));
  }
  if (length > kMaxHeaderBytesOfFormat) {
    std::string start(std::min<int64_t>(kForeignFormatBytes, file.size()), 0);
    if (absl::Status s = file.ReadAt(0, start.size(), start.data()); !s.ok()) {
      return s;
    }
    if (absl::Status s = CheckNotForeign(start); !s.ok()) {
      return WithPath(file.path(), s);
    }
    return absl::DataLossError(absl::StrCat(file.path(), ": header length ",
                                            length, " is above the format's ",
                                            kMaxHeaderBytesOfFormat));
  }
  if (length > kMaxHeaderBytes) {
    return absl::UnimplementedError(
        absl::StrCat(file.path(), ": header length ", length, " is above the ",
                     kMaxHeaderBytes, " that are read"));
  }
  const uint64_t after_length = file.size() - kLengthBytes;
  if (length > after_length) {
    return absl::FailedPreconditionError(
        absl::StrCat(file.path(), ": incomplete: the header has ", length,
                     " bytes, ", after_length, " are there"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(
    const std::string& path, absl::string_view json, int64_t data_bytes) {
  absl::StatusOr<std::vector<HeaderEntry>> parsed = ParseHeaderText(json);
  if (!parsed.ok()) return WithPath(path, parsed.status());
  std::vector<SafetensorsEntry> entries;
  entries.reserve(parsed->size());
  for (const HeaderEntry& entry : *parsed) {
    absl::StatusOr<SafetensorsEntry> checked = CheckEntry(entry);
    if (!checked.ok()) return WithPath(path, checked.status());
    entries.push_back(*std::move(checked));
  }
  auto by_offset = [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  };
  std::sort(entries.begin(), entries.end(), by_offset);
  if (absl::Status s = CheckCover(entries, data_bytes); !s.ok()) {
    return WithPath(path, s);
  }
  auto by_name = [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return a.name < b.name;
  };
  std::sort(entries.begin(), entries.end(), by_name);
  return entries;
}

absl::StatusOr<std::vector<SafetensorsEntry>> ReadSafetensorsHeader(
    const files::File& file) {
  absl::StatusOr<uint64_t> length = ReadHeaderLength(file);
  if (!length.ok()) return length.status();
  if (absl::Status s = CheckHeaderLength(file, *length); !s.ok()) return s;
  std::string json(*length, '\0');
  if (absl::Status s = file.ReadAt(kLengthBytes, *length, json.data());
      !s.ok()) {
    return s;
  }
  const int64_t data_start = kLengthBytes + static_cast<int64_t>(*length);
  absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ParseSafetensorsHeader(file.path(), json, file.size() - data_start);
  if (!entries.ok()) return entries;
  for (SafetensorsEntry& entry : *entries) {
    entry.begin += data_start;
    entry.end += data_start;
  }
  return entries;
}

}  // namespace sinkwatch::checkpoint

#include "worker/probe/token_file.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sinkwatch::probe {
namespace {

constexpr absl::string_view kNpyMagic("\x93NUMPY", 6);
constexpr int64_t kFewestToJudge = 64;

uint64_t IdAt(const std::string& bytes, int64_t i, int64_t width) {
  uint64_t id = 0;
  for (int64_t b = width - 1; b >= 0; --b) {
    id = id << 8 | static_cast<unsigned char>(bytes[i * width + b]);
  }
  return id;
}

absl::Status TooLargeError(const std::string& path, int64_t i, uint64_t id,
                           int64_t id_bytes, int64_t vocabulary) {
  std::string hint;
  const auto rows = static_cast<uint64_t>(vocabulary);
  if (id_bytes == 4 && (id & 0xffff) < rows && id >> 16 < rows) {
    hint = absl::StrCat("; as uint16 it would be ", id & 0xffff, " and ",
                        id >> 16, ": is the dtype right?");
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": token ", i, ": id ", id,
                   " is not below tokenizer.vocab_size ", vocabulary, hint));
}

// The high halves of 32-bit ids of any vocabulary below 131072.
bool LookLikeHalves(const int64_t* ids, int64_t count) {
  if (count < kFewestToJudge || count % 2 != 0) return false;
  bool has_low = false;
  for (int64_t i = 0; i < count; i += 2) {
    if (ids[i + 1] > 1) return false;
    has_low |= ids[i] > 1;
  }
  return has_low;
}

}  // namespace

int64_t BytesOfDtype(absl::string_view dtype) {
  for (int64_t bytes : {1, 2, 4, 8}) {
    if (dtype == DtypeOfBytes(bytes)) return bytes;
  }
  return 0;
}

std::string DtypeOfBytes(int64_t bytes) {
  return absl::StrCat("uint", 8 * bytes);
}

int64_t SmallestIdBytes(int64_t vocabulary) {
  int64_t bytes = 1;
  while (bytes < 8 && (vocabulary - 1) >> (8 * bytes) != 0) bytes *= 2;
  return bytes;
}

absl::Status InvalidUnlessUnavailable(const absl::Status& error) {
  if (absl::IsUnavailable(error)) return error;
  return absl::InvalidArgumentError(error.message());
}

absl::StatusOr<std::unique_ptr<files::File>> OpenTokenFile(
    const std::string& path, const std::string& real_folder) {
  auto file = files::File::Open(path, real_folder);
  if (!file.ok()) return InvalidUnlessUnavailable(file.status());
  std::string start(std::min<int64_t>(kNpyMagic.size(), (*file)->size()), 0);
  absl::Status s = (*file)->ReadAt(0, start.size(), start.data());
  if (!s.ok()) return InvalidUnlessUnavailable(s);
  if (start != kNpyMagic) return file;
  return absl::InvalidArgumentError(absl::StrCat(
      path,
      ": begins with the header of NumPy's .npy format; a probe has "
      "raw ids only, as ndarray.tofile writes them"));
}

absl::Status AppendIds(const std::string& path, const std::string& bytes,
                       int64_t id_bytes, int64_t vocabulary,
                       std::vector<int64_t>& ids) {
  const size_t before = ids.size();
  const int64_t count = static_cast<int64_t>(bytes.size()) / id_bytes;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t id = IdAt(bytes, i, id_bytes);
    if (id >= static_cast<uint64_t>(vocabulary)) {
      return TooLargeError(path, i, id, id_bytes, vocabulary);
    }
    ids.push_back(static_cast<int64_t>(id));
  }
  if (id_bytes != 2 || !LookLikeHalves(ids.data() + before, count)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path,
                   ": every second id is 0 or 1: uint32 ids that are read as "
                   "uint16?"));
}

}  // namespace sinkwatch::probe

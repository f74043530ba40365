#include "worker/checkpoint/container/torch_container.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/container/foreign_format.h"
#include "worker/checkpoint/container/sharded.h"
#include "worker/checkpoint/container/torch_archive.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr absl::string_view kZip = "PK\3\4";
constexpr absl::string_view kEmptyZip = "PK\5\6";
constexpr absl::string_view kLfsPointer = "version https://git-lfs";
// LONG1 0x1950a86a20f9469cfc6c, after the protocol.
constexpr absl::string_view kLegacyMagic =
    "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr absl::string_view kTar = "ustar";
constexpr size_t kTarAt = 257;

// What a file is that is no zip archive, by its first bytes.
absl::Status CheckIsZip(absl::string_view start) {
  if (absl::StartsWith(start, kZip) || absl::StartsWith(start, kEmptyZip)) {
    return absl::OkStatus();
  }
  if (absl::StartsWith(start, kLfsPointer)) {
    return absl::FailedPreconditionError(
        "a Git LFS pointer, the file itself is not there yet");
  }
  if (start.find_first_not_of('\0') == absl::string_view::npos) {
    return absl::FailedPreconditionError("incomplete: nothing but zero bytes");
  }
  if (absl::StartsWith(kZip, start)) {
    return absl::FailedPreconditionError("incomplete");
  }
  const bool pickled = start[0] == '\x80';
  if (pickled && absl::StartsWith(start.substr(2), kLegacyMagic)) {
    return absl::UnimplementedError(
        "a bare pickle, as torch.save wrote before torch 1.6 and still does "
        "with _use_new_zipfile_serialization=False");
  }
  if (pickled) return absl::UnimplementedError("a bare pickle, no zip archive");
  if (start.size() >= kTarAt && absl::StartsWith(start.substr(kTarAt), kTar)) {
    return absl::UnimplementedError(
        "a tar archive, as torch.save wrote before torch 0.1.10");
  }
  if (absl::Status s = CheckNotForeign(start); !s.ok()) return s;
  // Nothing says that it is a broken archive, and not something else.
  return absl::UnimplementedError("neither a zip archive nor a pickle");
}

absl::Status CheckStart(const files::File& file) {
  constexpr int64_t kMaxBytes = 512;
  std::string start(std::min(file.size(), kMaxBytes), '\0');
  absl::Status read = file.ReadAt(0, start.size(), start.data());
  if (!read.ok()) return read;
  absl::Status status = CheckIsZip(start);
  return absl::Status(status.code(),
                      absl::StrCat(file.path(), ": ", status.message()));
}

StoredTensor StoredOf(ArchivedTensor tensor) {
  Piece piece;
  piece.offset = tensor.offset;
  piece.start.assign(tensor.sizes.size(), 0);
  piece.sizes = tensor.sizes;
  piece.strides = std::move(tensor.strides);
  return {std::move(tensor.name),
          tensor.dtype,
          std::move(tensor.sizes),
          {std::move(piece)}};
}

}  // namespace

absl::StatusOr<Contents> OpenTorchFile(const std::string& path,
                                       const std::string& confinement) {
  absl::StatusOr<std::unique_ptr<files::File>> file =
      files::File::Open(path, confinement);
  if (!file.ok()) return file.status();
  if (absl::Status s = CheckStart(**file); !s.ok()) return s;
  absl::StatusOr<std::vector<ArchivedTensor>> tensors =
      ReadTorchArchive({file->get(), 0, (*file)->size()});
  if (!tensors.ok()) return tensors.status();
  Contents contents;
  for (ArchivedTensor& tensor : *tensors) {
    contents.tensors.push_back(StoredOf(std::move(tensor)));
  }
  contents.files.push_back(*std::move(file));
  return contents;
}

absl::StatusOr<Contents> OpenTorchBin(const std::string& folder,
                                      const std::string& confinement) {
  return OpenTorchFile(absl::StrCat(folder, "/pytorch_model.bin"), confinement);
}

absl::StatusOr<Contents> OpenShardedTorchBin(const std::string& folder,
                                             const std::string& confinement) {
  return OpenSharded(
      folder, confinement,
      {"pytorch_model.bin.index.json", "pytorch_model", ".bin", OpenTorchFile});
}

absl::StatusOr<Contents> OpenTorchModel(const std::string& folder,
                                        const std::string& confinement) {
  return OpenTorchFile(absl::StrCat(folder, "/model.pt"), confinement);
}

}  // namespace sinkwatch::checkpoint

#include "worker/checkpoint/container/dcp.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/checkpoint/container/dcp_globals.h"
#include "worker/checkpoint/container/dcp_metadata.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {
namespace {

absl::StatusOr<DcpMetadata> ReadMetadata(const std::string& path,
                                         const std::string& confinement,
                                         DcpKeys keys) {
  absl::StatusOr<std::unique_ptr<files::File>> file =
      files::File::Open(path, confinement);
  if (!file.ok()) return file.status();
  if ((*file)->size() > static_cast<int64_t>(kMaxDcpMetadataBytes)) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": ", (*file)->size(), " bytes, above the ",
                     kMaxDcpMetadataBytes, " that are read"));
  }
  std::string bytes((*file)->size(), '\0');
  absl::Status read = (*file)->ReadAt(0, (*file)->size(), bytes.data());
  if (read.ok()) read = (*file)->CheckUnchanged();
  if (!read.ok()) return read;
  absl::StatusOr<DcpMetadata> metadata =
      ParseDcpMetadata(std::move(bytes), keys);
  if (metadata.ok()) return metadata;
  return absl::Status(metadata.status().code(),
                      absl::StrCat(path, ": ", metadata.status().message()));
}

// For each file, how long it must be at least.
std::vector<int64_t> EndsOf(const DcpMetadata& metadata) {
  std::vector<int64_t> ends(metadata.files.size(), 0);
  for (const StoredTensor& tensor : metadata.tensors) {
    for (const Piece& piece : tensor.pieces) {
      int64_t& end = ends[piece.file];
      end = std::max(end, piece.offset + piece.archive_bytes);
    }
  }
  return ends;
}

absl::StatusOr<Contents> OpenFolder(const std::string& folder,
                                    const std::string& confinement,
                                    DcpKeys keys) {
  absl::StatusOr<DcpMetadata> metadata =
      ReadMetadata(absl::StrCat(folder, "/.metadata"), confinement, keys);
  if (!metadata.ok()) return metadata.status();
  const std::vector<int64_t> ends = EndsOf(*metadata);
  Contents contents;
  for (size_t i = 0; i < ends.size(); ++i) {
    absl::StatusOr<std::unique_ptr<files::File>> file = files::File::Open(
        absl::StrCat(folder, "/", metadata->files[i]), confinement);
    if (!file.ok()) return file.status();
    if ((*file)->size() < ends[i]) {
      return absl::FailedPreconditionError(
          absl::StrCat((*file)->path(), ": incomplete: ", (*file)->size(),
                       " bytes, .metadata asks for ", ends[i]));
    }
    contents.files.push_back(*std::move(file));
  }
  contents.tensors = std::move(metadata->tensors);
  return contents;
}

}  // namespace

absl::StatusOr<Contents> OpenDcp(const std::string& folder,
                                 const std::string& confinement) {
  return OpenFolder(folder, confinement, DcpKeys::kTopLevel);
}

absl::StatusOr<Contents> OpenModelAndOptim(const std::string& folder,
                                           const std::string& confinement) {
  return OpenFolder(absl::StrCat(folder, "/model_and_optim"), confinement,
                    DcpKeys::kBelowModel);
}

}  // namespace sinkwatch::checkpoint

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/checkpoint/container/legacy_names.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/container/sharded.h"

namespace sinkwatch::checkpoint {
namespace {

StoredTensor StoredOf(SafetensorsEntry entry) {
  Piece piece = WholePiece(0, entry.begin, entry.shape);
  return {std::move(entry.name),
          entry.dtype,
          std::move(entry.shape),
          {std::move(piece)}};
}

}  // namespace

absl::StatusOr<Contents> OpenSafetensorsFile(const std::string& path,
                                             const std::string& confinement) {
  absl::StatusOr<std::unique_ptr<files::File>> file =
      files::File::Open(path, confinement);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ReadSafetensorsHeader(**file);
  if (!entries.ok()) return entries.status();
  std::vector<absl::string_view> stored;
  for (const SafetensorsEntry& entry : *entries) stored.push_back(entry.name);
  absl::StatusOr<std::vector<LegacyName>> names = DecodeLegacyNames(stored);
  if (!names.ok()) {
    return absl::Status(names.status().code(),
                        absl::StrCat(path, ": ", names.status().message()));
  }
  Contents contents;
  for (size_t i = 0; i < entries->size(); ++i) {
    LegacyName& name = (*names)[i];
    if (name.value_is_pickled) continue;
    (*entries)[i].name = std::move(name.name);
    contents.tensors.push_back(StoredOf(std::move((*entries)[i])));
  }
  contents.files.push_back(*std::move(file));
  return contents;
}

absl::StatusOr<Contents> OpenSafetensors(const std::string& folder,
                                         const std::string& confinement) {
  return OpenSafetensorsFile(absl::StrCat(folder, "/model.safetensors"),
                             confinement);
}

absl::StatusOr<Contents> OpenShardedSafetensors(
    const std::string& folder, const std::string& confinement) {
  return OpenSharded(folder, confinement,
                     {"model.safetensors.index.json", "model", ".safetensors",
                      OpenSafetensorsFile});
}

}  // namespace sinkwatch::checkpoint

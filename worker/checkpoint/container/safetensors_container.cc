#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/container/shard_index.h"
#include "worker/checkpoint/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";

struct OpenedFile {
  std::unique_ptr<File> file;
  std::vector<SafetensorsEntry> entries;
};

absl::StatusOr<OpenedFile> OpenFile(const std::string& path,
                                    const std::string& real_folder) {
  absl::StatusOr<std::unique_ptr<File>> file = File::Open(path, real_folder);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::vector<SafetensorsEntry>> entries =
      ReadSafetensorsHeader(**file);
  if (!entries.ok()) return entries.status();
  return OpenedFile{*std::move(file), *std::move(entries)};
}

StoredTensor StoredOf(SafetensorsEntry entry, size_t file) {
  Piece piece = WholePiece(file, entry.begin, entry.shape);
  return {std::move(entry.name),
          entry.dtype,
          std::move(entry.shape),
          {std::move(piece)}};
}

// Adds those tensors of a shard that `listed` gives to it.
absl::Status AddShard(OpenedFile shard, const std::vector<std::string>& listed,
                      Contents& contents) {
  absl::flat_hash_set<absl::string_view> missing(listed.begin(), listed.end());
  size_t num_unlisted = 0;
  for (SafetensorsEntry& entry : shard.entries) {
    if (missing.erase(entry.name) == 0) {
      ++num_unlisted;
      continue;
    }
    contents.tensors.push_back(
        StoredOf(std::move(entry), contents.files.size()));
  }
  if (!missing.empty()) {
    return absl::DataLossError(absl::StrCat(
        shard.file->path(), ": tensor ",
        Quoted(*std::min_element(missing.begin(), missing.end())),
        " is not in the shard that ", kIndexFile, " names for it"));
  }
  if (num_unlisted > 0) {
    spdlog::warn("shard has tensors that its index does not list file={} n={}",
                 shard.file->path(), num_unlisted);
  }
  contents.files.push_back(std::move(shard.file));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Contents> OpenSafetensors(const std::string& folder,
                                         const std::string& real_folder) {
  absl::StatusOr<OpenedFile> opened =
      OpenFile(absl::StrCat(folder, "/", kSingleFile), real_folder);
  if (!opened.ok()) return opened.status();
  Contents contents;
  for (SafetensorsEntry& entry : opened->entries) {
    contents.tensors.push_back(StoredOf(std::move(entry), 0));
  }
  contents.files.push_back(std::move(opened->file));
  return contents;
}

absl::StatusOr<Contents> OpenShardedSafetensors(
    const std::string& folder, const std::string& real_folder) {
  const std::string path = absl::StrCat(folder, "/", kIndexFile);
  absl::StatusOr<std::string> text =
      ReadWholeFile(path, kMaxIndexBytes, real_folder);
  if (!text.ok()) return text.status();
  absl::StatusOr<ShardIndex> index = ParseShardIndex(path, *text);
  if (!index.ok()) return index.status();
  Contents contents;
  for (const auto& [shard, listed] : *index) {
    absl::StatusOr<OpenedFile> opened =
        OpenFile(absl::StrCat(folder, "/", shard), real_folder);
    if (!opened.ok()) return opened.status();
    absl::Status status = AddShard(*std::move(opened), listed, contents);
    if (!status.ok()) return status;
  }
  return contents;
}

}  // namespace sinkwatch::checkpoint

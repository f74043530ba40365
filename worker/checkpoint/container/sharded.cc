#include "worker/checkpoint/container/sharded.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"
#include "worker/checkpoint/container/shard_index.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

// Adds those tensors of a shard that `listed` gives to it.
absl::Status AddShard(const std::string& path, Contents shard,
                      const std::vector<std::string>& listed,
                      const ShardedFormat& format, Contents& contents) {
  absl::flat_hash_set<absl::string_view> missing(listed.begin(), listed.end());
  size_t num_unlisted = 0;
  for (StoredTensor& tensor : shard.tensors) {
    if (missing.erase(tensor.name) == 0) {
      ++num_unlisted;
      continue;
    }
    for (Piece& piece : tensor.pieces) piece.file += contents.files.size();
    contents.tensors.push_back(std::move(tensor));
  }
  if (!missing.empty()) {
    return absl::DataLossError(absl::StrCat(
        path, ": tensor ",
        files::Quoted(*std::min_element(missing.begin(), missing.end())),
        " is not in the shard that ", format.index_file, " names for it"));
  }
  if (num_unlisted > 0) {
    spdlog::warn("shard has tensors that its index does not list file={} n={}",
                 path, num_unlisted);
  }
  for (std::unique_ptr<files::File>& file : shard.files) {
    contents.files.push_back(std::move(file));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Contents> OpenSharded(const std::string& folder,
                                     const std::string& confinement,
                                     const ShardedFormat& format) {
  const std::string index_path = absl::StrCat(folder, "/", format.index_file);
  absl::StatusOr<std::string> text =
      files::ReadWholeFile(index_path, kMaxIndexBytes, confinement);
  if (!text.ok()) return text.status();
  absl::StatusOr<ShardIndex> index =
      ParseShardIndex(index_path, *text, format.suffix);
  if (!index.ok()) return index.status();
  Contents contents;
  for (const auto& [shard, listed] : *index) {
    const std::string path = absl::StrCat(folder, "/", shard);
    absl::StatusOr<Contents> opened = format.open(path, confinement);
    if (!opened.ok()) return opened.status();
    absl::Status status =
        AddShard(path, *std::move(opened), listed, format, contents);
    if (!status.ok()) return status;
  }
  return contents;
}

}  // namespace sinkwatch::checkpoint

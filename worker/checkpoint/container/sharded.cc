#include "worker/checkpoint/container/sharded.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "spdlog/spdlog.h"
#include "worker/checkpoint/container/shard_index.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

void Append(Contents shard, Contents& contents) {
  for (StoredTensor& tensor : shard.tensors) {
    for (Piece& piece : tensor.pieces) piece.file += contents.files.size();
    contents.tensors.push_back(std::move(tensor));
  }
  for (std::unique_ptr<files::File>& file : shard.files) {
    contents.files.push_back(std::move(file));
  }
}

// Adds those tensors of a shard that `listed` gives to it.
absl::Status AddShard(const std::string& path, Contents shard,
                      const std::vector<std::string>& listed,
                      const ShardedFormat& format, Contents& contents) {
  absl::flat_hash_set<absl::string_view> missing(listed.begin(), listed.end());
  size_t num_unlisted = 0;
  std::vector<StoredTensor> kept;
  for (StoredTensor& tensor : shard.tensors) {
    if (missing.erase(tensor.name) == 0) {
      ++num_unlisted;
      continue;
    }
    kept.push_back(std::move(tensor));
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
  shard.tensors = std::move(kept);
  Append(std::move(shard), contents);
  return absl::OkStatus();
}

absl::StatusOr<Contents> OpenWithoutIndex(
    const std::string& folder, const std::string& confinement,
    const std::vector<std::string>& shards, const ShardedFormat& format) {
  Contents contents;
  for (const std::string& shard : shards) {
    absl::StatusOr<Contents> opened =
        format.open(absl::StrCat(folder, "/", shard), confinement);
    if (!opened.ok()) return opened.status();
    Append(*std::move(opened), contents);
  }
  absl::flat_hash_set<absl::string_view> names;
  for (const StoredTensor& tensor : contents.tensors) {
    if (names.insert(tensor.name).second) continue;
    return absl::UnimplementedError(
        absl::StrCat(folder, ": tensor ", files::Quoted(tensor.name),
                     " is in two shards, and no ", format.index_file,
                     " tells which counts"));
  }
  return contents;
}

// The number and the count of stem-00001-of-00003.suffix; none of other names.
std::optional<std::pair<int, int>> ReadShardName(absl::string_view name,
                                                 absl::string_view stem,
                                                 absl::string_view suffix) {
  absl::ConsumePrefix(&name, "ft-");
  if (!absl::ConsumePrefix(&name, stem) || !absl::ConsumePrefix(&name, "-") ||
      !absl::ConsumeSuffix(&name, suffix)) {
    return std::nullopt;
  }
  const std::vector<absl::string_view> numbers = absl::StrSplit(name, "-of-");
  std::pair<int, int> shard;
  const auto read = [](absl::string_view digits, int* number) {
    return digits.size() < 10 &&
           digits.find_first_not_of("0123456789") == digits.npos &&
           absl::SimpleAtoi(digits, number);
  };
  if (numbers.size() != 2 || !read(numbers[0], &shard.first) ||
      !read(numbers[1], &shard.second)) {
    return std::nullopt;
  }
  return shard;
}

}  // namespace

std::vector<std::string> OnlySetOfShards(const std::string& folder,
                                         const std::string& stem,
                                         const std::string& suffix) {
  std::map<int, std::string> shards;
  int count = 0;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const auto shard = ReadShardName(name, stem, suffix);
    if (!shard.has_value()) continue;
    const bool fits = shard->first >= 1 && shard->first <= shard->second &&
                      (count == 0 || count == shard->second);
    if (!fits || !shards.emplace(shard->first, name).second) return {};
    count = shard->second;
  }
  if (shards.size() != static_cast<size_t>(count) || shards.size() > kMaxShards)
    return {};
  std::vector<std::string> names;
  for (auto& [number, name] : shards) names.push_back(std::move(name));
  return names;
}

absl::StatusOr<Contents> OpenSharded(const std::string& folder,
                                     const std::string& confinement,
                                     const ShardedFormat& format) {
  const std::string index_path = absl::StrCat(folder, "/", format.index_file);
  std::error_code error;
  if (!std::filesystem::exists(index_path, error)) {
    const auto shards = OnlySetOfShards(folder, format.stem, format.suffix);
    if (!shards.empty()) {
      return OpenWithoutIndex(folder, confinement, shards, format);
    }
  }
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

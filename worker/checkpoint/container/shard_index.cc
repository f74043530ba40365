#include "worker/checkpoint/container/shard_index.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/files/fields.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

absl::Status ParseError(const std::string& path, const absl::Status& error) {
  std::string message = absl::StrCat(path, ": ", error.message());
  if (absl::IsOutOfRange(error)) {
    return absl::FailedPreconditionError(message);
  }
  if (absl::IsResourceExhausted(error)) {
    return absl::UnimplementedError(message);
  }
  return absl::DataLossError(message);
}

absl::Status CheckShardName(const Json& shard, absl::string_view suffix) {
  if (!shard.is_string()) {
    return absl::DataLossError("its shard must be a string");
  }
  const std::string name = shard.get<std::string>();
  if (files::IsBareName(name) && absl::EndsWith(name, suffix)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("shard ", files::Quoted(name),
                                          " must be a bare name of a ", suffix,
                                          " file"));
}

}  // namespace

absl::StatusOr<ShardIndex> ParseShardIndex(const std::string& path,
                                           const std::string& text,
                                           absl::string_view suffix) {
  files::JsonLimits limits;
  limits.depth = 8;
  limits.values = 2 * kMaxTensors;
  const absl::StatusOr<Json> json = files::ParseJsonObject(text, limits);
  if (!json.ok()) return ParseError(path, json.status());
  files::Fields fields(*json, "", path);
  const Json& weight_map = fields.Object("weight_map");
  if (weight_map.empty()) {
    fields.Fail("weight_map", "must be an object that is not empty");
  }
  RETURN_IF_ERROR(fields.status());
  if (weight_map.size() > kMaxTensors) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": more than ", kMaxTensors, " tensors"));
  }
  ShardIndex index;
  for (const auto& [tensor, shard] : weight_map.items()) {
    if (absl::Status s = CheckShardName(shard, suffix); !s.ok()) {
      return absl::DataLossError(absl::StrCat(
          path, ": tensor ", files::Quoted(tensor), ": ", s.message()));
    }
    index[shard.get<std::string>()].push_back(tensor);
  }
  if (index.size() > kMaxShards) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": more than ", kMaxShards, " shards"));
  }
  return index;
}

}  // namespace sinkwatch::checkpoint

// model.safetensors.index.json.
#include <cstddef>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/container/shard_index.h"
#include "worker/files/file.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::ParseShardIndex;
using checkpoint::ShardIndex;
using Json = nlohmann::json;

constexpr char kPath[] = "model.safetensors.index.json";
constexpr char kSuffix[] = ".safetensors";

void ExpectSameAsTree(const ShardIndex& index, absl::string_view text) {
  const Json tree = Json::parse(text.begin(), text.end(), nullptr, false);
  const Json& weight_map = tree["weight_map"];
  std::set<std::string> tensors;
  for (const auto& [shard, names] : index) {
    Expect(files::IsBareName(shard) && shard.find('/') == std::string::npos &&
               absl::EndsWith(shard, kSuffix),
           "a shard is a bare name");
    Expect(!names.empty(), "a shard has a tensor");
    for (const std::string& name : names) {
      Expect(tensors.insert(name).second, "a tensor is in one shard");
      Expect(weight_map.at(name) == shard, "a tensor is in its shard");
    }
  }
  Expect(!tensors.empty() && tensors.size() == weight_map.size(),
         "each tensor is listed");
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto index = ParseShardIndex(kPath, std::string(input), kSuffix);
  if (!index.ok()) return index.status();
  ExpectSameAsTree(*index, input);
  const size_t end = input.find_last_of('}');
  Expect(absl::IsFailedPrecondition(
             ParseShardIndex(kPath, std::string(input.substr(0, end)), kSuffix)
                 .status()),
         "an index without its last brace is incomplete");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz

#include "server/discovery/digest.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "proto/base/sha256.h"
#include "proto/base/small_file.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMaxMebibytes = 1;

}  // namespace

absl::StatusOr<v1::Probe> ReadProbe(const std::string& folder) {
  const std::string path = folder + "/probe.json";
  const auto text = base::ReadSmallFile(path, kMaxMebibytes);
  if (!text.ok()) return text.status();
  const nlohmann::json json =
      nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("name") ||
      !json["name"].is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no JSON object with a \"name\""));
  }
  v1::Probe probe;
  probe.set_name(json["name"].get<std::string>());
  probe.set_path(folder);
  probe.set_digest(base::Sha256Hex(*text));
  return probe;
}

}  // namespace sinkwatch::discovery

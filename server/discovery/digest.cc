#include "server/discovery/digest.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "openssl/sha.h"
#include "server/discovery/small_file.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMostMebibytes = 1;

}  // namespace

std::string Sha256Hex(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

absl::StatusOr<v1::Probe> ReadProbe(const std::string& folder) {
  const std::string path = folder + "/probe.json";
  const auto text = ReadSmallFile(path, kMostMebibytes);
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
  probe.set_digest(Sha256Hex(*text));
  return probe;
}

}  // namespace sinkwatch::discovery

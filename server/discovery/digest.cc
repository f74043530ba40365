#include "server/discovery/digest.h"

#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "openssl/sha.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMostBytes = 1 << 20;

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::InvalidArgumentError(absl::StrCat(path, " cannot be opened"));
  }
  std::string text(kMostBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) {
    return absl::UnavailableError(absl::StrCat(path, " cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMostBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than 1 MiB"));
  }
  return text;
}

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
  const auto text = ReadSmallFile(path);
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

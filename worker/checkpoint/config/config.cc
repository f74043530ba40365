#include "worker/checkpoint/config/config.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxConfigDepth = 32;

absl::Status ParseError(const std::string& path, const absl::Status& error) {
  std::string message = absl::StrCat(path, ": ", error.message());
  // A file that ends too early is what a writer leaves behind half-way.
  if (absl::IsOutOfRange(error)) {
    return absl::FailedPreconditionError(message);
  }
  // Nothing is wrong with the file but that it is beyond our limits.
  if (absl::IsResourceExhausted(error))
    return absl::UnimplementedError(message);
  return absl::DataLossError(message);
}

}  // namespace

Config::Config(std::string path, Json json)
    : path_(std::move(path)), json_(std::move(json)) {}

absl::StatusOr<Config> Config::Read(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text,
                   files::ReadWholeFile(path, kMaxConfigBytes));
  return Parse(path, text);
}

absl::StatusOr<Config> Config::Parse(const std::string& path,
                                     const std::string& text) {
  if (static_cast<int64_t>(text.size()) > kMaxConfigBytes) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": above ", kMaxConfigBytes,
                     " bytes, the most that is read of a config"));
  }
  files::JsonLimits limits;
  limits.depth = kMaxConfigDepth;
  limits.python_numbers = true;
  absl::StatusOr<Json> json = files::ParseJsonObject(text, limits);
  if (!json.ok()) return ParseError(path, json.status());
  return Config(path, *std::move(json));
}

Config Config::Of(std::string path, Json json) {
  return Config(std::move(path), std::move(json));
}

bool Config::Has(const std::string& key) const {
  const auto found = json_.find(key);
  return found != json_.end() && !found->is_null();
}

files::Fields Config::fields() const { return files::Fields(json_, "", path_); }

}  // namespace sinkwatch::checkpoint

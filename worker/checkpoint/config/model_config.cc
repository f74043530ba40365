#include "worker/checkpoint/config/model_config.h"

#include <sys/stat.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/config/megatron_bridge.h"
#include "worker/checkpoint/config/meta_params.h"
#include "worker/checkpoint/config/nanochat_meta.h"
#include "worker/checkpoint/config/olmo_core.h"
#include "worker/checkpoint/config/olmo_native.h"
#include "worker/checkpoint/config/strict_yaml.h"
#include "worker/checkpoint/config/text_config.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr const char* kNames[] = {"config.json", "config.yaml", "params.json",
                                  "run_config.yaml"};

bool IsYaml(absl::string_view path) {
  return absl::EndsWith(path, ".yaml") || absl::EndsWith(path, ".yml");
}

bool Exists(const std::string& path) {
  struct stat info;
  // A link to nowhere is there: the error then says what it leads to.
  return ::lstat(path.c_str(), &info) == 0;
}

absl::Status InFile(const std::string& path, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat(path, ": ", error.message()));
}

absl::StatusOr<Config> Translated(const std::string& path,
                                  absl::string_view trainer,
                                  absl::StatusOr<Json> keys) {
  if (!keys.ok()) return InFile(path, keys.status());
  return Config::Of(absl::StrCat(path, " (keys translated from ", trainer, ")"),
                    *std::move(keys));
}

// hf_olmo first called itself "olmo", as Hugging Face's own class does now.
bool IsHfOlmo(const Json& json) {
  const auto type = json.find("model_type");
  if (type == json.end()) return false;
  return *type == "hf_olmo" || (*type == "olmo" && json.contains("d_model") &&
                                !json.contains("hidden_size"));
}

absl::StatusOr<Config> TranslateJson(const std::string& path, Config config) {
  const Json& json = config.json();
  if (IsHfOlmo(json)) {
    return Translated(path, "hf_olmo", TranslateOlmoNative(json, ""));
  }
  if (HasTextConfig(json)) {
    return Translated(path, "text_config", TranslateTextConfig(json));
  }
  if (config.Has("model_type") || config.Has("architectures")) return config;
  if (json.contains("model")) {
    return Translated(path, "OLMo-core", TranslateOlmoCore(json));
  }
  if (IsNanochatMeta(json)) {
    return Translated(path, "nanochat", TranslateNanochatMeta(json));
  }
  if (config.Has("dim") && config.Has("n_layers")) {
    return Translated(path, "params.json", TranslateMetaParams(json));
  }
  return config;
}

absl::Status YamlError(const std::string& path, const absl::Status& error) {
  const std::string message = absl::StrCat(path, ": ", error.message());
  switch (error.code()) {
    case absl::StatusCode::kOutOfRange:
      return absl::FailedPreconditionError(message);
    case absl::StatusCode::kResourceExhausted:
      return absl::UnimplementedError(message);
    default:
      return absl::DataLossError(message);
  }
}

absl::StatusOr<Config> TranslateYaml(const std::string& path,
                                     const std::string& text) {
  absl::StatusOr<YamlDocument> yaml = ParseYamlObject(text);
  if (!yaml.ok()) return YamlError(path, yaml.status());
  auto model = yaml->root.find("model");
  // A cut file is often good YAML, and what is missing from `model` would get
  // defaults. The trainer writes two dozen keys after it.
  const bool is_cut = model == yaml->root.end() ||
                      (yaml->root.size() > 1 && yaml->last_key == "model");
  if (is_cut) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": incomplete: ends ",
        model == yaml->root.end() ? "before" : "within", " key 'model'"));
  }
  if (IsMegatronBridge(*model)) {
    return Translated(path, "Megatron Bridge",
                      TranslateMegatronBridge(yaml->root));
  }
  return Translated(path, "OLMo", TranslateOlmoNative(*model, "model"));
}

}  // namespace

std::string FindModelConfig(const std::string& folder) {
  for (const char* name : kNames) {
    std::string path = absl::StrCat(folder, "/", name);
    if (Exists(path)) return path;
  }
  return "";
}

absl::StatusOr<Config> ParseModelConfig(const std::string& path,
                                        const std::string& text) {
  if (IsYaml(path)) return TranslateYaml(path, text);
  ASSIGN_OR_RETURN(Config config, Config::Parse(path, text));
  return TranslateJson(path, std::move(config));
}

absl::StatusOr<Config> ReadModelConfig(const std::string& folder,
                                       const std::string& confinement,
                                       const std::string& path) {
  if (!path.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     files::ReadWholeFile(path, kMaxConfigBytes));
    return ParseModelConfig(path, text);
  }
  const std::string found = FindModelConfig(folder);
  if (found.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, ": incomplete: config.json missing"));
  }
  ASSIGN_OR_RETURN(const std::string text,
                   files::ReadWholeFile(found, kMaxConfigBytes, confinement));
  return ParseModelConfig(found, text);
}

}  // namespace sinkwatch::checkpoint

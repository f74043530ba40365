#include "worker/checkpoint/flat_file.h"

#include <sys/stat.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/flat_file_name.h"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/container/torch_container.h"
#include "worker/checkpoint/detect.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr char kSafetensors[] = ".safetensors";
constexpr const char* kTorch[] = {".pt", ".pth", ".ckpt"};

bool Exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

// pytorch_model_1000.bin, and not llama2.c's file of that ending.
bool IsTorchBin(const std::string& path) {
  constexpr char kZip[] = "PK\3\4";
  char start[sizeof(kZip) - 1];
  if (!absl::EndsWith(path, ".bin")) return false;
  const auto file = files::File::Open(path);
  return file.ok() && (*file)->size() > static_cast<int64_t>(sizeof(start)) &&
         (*file)->ReadAt(0, sizeof(start), start).ok() &&
         absl::string_view(start, sizeof(start)) == kZip;
}

bool IsTorchFile(const std::string& path) {
  for (const char* end : kTorch) {
    if (absl::EndsWith(path, end)) return true;
  }
  return IsTorchBin(path);
}

absl::StatusOr<std::string> FindConfig(const std::string& folder,
                                       const std::string& path) {
  const std::string meta =
      base::MetaNameOf(absl::string_view(path).substr(path.rfind('/') + 1));
  const std::string beside = absl::StrCat(folder, "/", meta);
  if (!meta.empty() && Exists(beside)) return beside;
  std::string found = FindModelConfig(folder);
  if (!found.empty()) return found;
  // The server, which cannot tell it from llama2.c's, does not wait for one.
  if (absl::EndsWith(path, ".bin")) {
    return absl::UnimplementedError(
        absl::StrCat(path,
                     ": an archive of torch.save without a config: put its "
                     "config.json beside it, or give the run a model_config"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": incomplete: neither ",
                   meta.empty() ? "" : absl::StrCat(meta, ", "),
                   "config.json, config.yaml nor params.json is beside it"));
}

absl::StatusOr<Config> ReadConfig(const std::string& folder,
                                  const std::string& path,
                                  const std::string& confinement,
                                  const std::string& model_config) {
  if (!model_config.empty()) {
    return ReadModelConfig(folder, confinement, model_config);
  }
  ASSIGN_OR_RETURN(const std::string found, FindConfig(folder, path));
  ASSIGN_OR_RETURN(const std::string text,
                   files::ReadWholeFile(found, kMaxConfigBytes, confinement));
  return ParseModelConfig(found, text);
}

}  // namespace

bool IsFlatFile(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         (absl::EndsWith(path, kSafetensors) || IsTorchFile(path));
}

absl::StatusOr<FlatFile> OpenFlatFile(const std::string& path,
                                      const std::string& model_config) {
  const std::string folder = files::ParentOf(path);
  ASSIGN_OR_RETURN(const std::string confinement, ConfinementOf(folder));
  ASSIGN_OR_RETURN(Config config,
                   ReadConfig(folder, path, confinement, model_config));
  ASSIGN_OR_RETURN(Contents contents,
                   IsTorchFile(path) ? OpenTorchFile(path, confinement)
                                     : OpenSafetensorsFile(path, confinement));
  return FlatFile{std::move(config), std::move(contents)};
}

}  // namespace sinkwatch::checkpoint

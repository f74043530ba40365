#include "server/run_paths.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/discovery/digest.h"
#include "server/discovery/manifest.h"

namespace sinkwatch::server {
namespace {

namespace fs = std::filesystem;

// Why a folder cannot be listed; empty if it can.
std::string FolderError(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return path + " is missing";
  if (!fs::is_directory(status)) return path + " is no folder";
  fs::directory_iterator listing(path, error);
  return error ? absl::StrCat(path, ": ", error.message()) : "";
}

std::string ProbeError(const std::string& path) {
  std::string error = FolderError(path);
  if (!error.empty()) return error;
  const auto probe = discovery::ReadProbe(path);
  return probe.ok() ? "" : std::string(probe.status().message());
}

std::string ManifestError(const std::string& path) {
  const auto manifest = discovery::ReadManifest(path);
  return manifest.ok() ? "" : std::string(manifest.status().message());
}

std::string FileError(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) ? "" : path + " is no file";
}

}  // namespace

std::vector<std::string> PathErrors(const v1::RunConfig& run,
                                    bool allow_missing) {
  std::vector<std::string> errors;
  const auto check = [&](const char* field, const std::string& path,
                         std::string (*error_of)(const std::string&)) {
    const std::string error = path.empty() ? "" : error_of(path);
    if (error.empty()) return;
    errors.push_back(
        absl::StrCat("run \"", run.name(), "\": ", field, ": ", error));
  };
  if (!allow_missing) {
    check("root", run.root(), FolderError);
    check("probe", run.probe(), ProbeError);
  }
  check("manifest", run.manifest(), ManifestError);
  check("model_config", run.model_config(), FileError);
  return errors;
}

absl::Status CheckPaths(const v1::RunConfig& run, bool allow_missing) {
  const std::vector<std::string> errors = PathErrors(run, allow_missing);
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(errors, "; "),
                   allow_missing ? "" : " (--allow-missing to insist)"));
}

std::vector<std::string> PathErrors(const v1::ServerConfig& config,
                                    bool allow_missing) {
  std::vector<std::string> errors;
  for (const v1::RunConfig& run : config.runs()) {
    for (std::string& error : PathErrors(run, allow_missing)) {
      errors.push_back(std::move(error));
    }
  }
  return errors;
}

}  // namespace sinkwatch::server

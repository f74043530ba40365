#include "server/service/backup_path.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace sinkwatch::service {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxName = 200;

absl::Status LeadsOut(const std::string& folder) {
  return absl::InvalidArgumentError(
      absl::StrCat("a backup is a file below ", folder,
                   " (backup_dir of the server's configuration), in a folder "
                   "that is there"));
}

bool IsBelow(const fs::path& folder, const fs::path& path) {
  const auto [end, at] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

bool IsPlain(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.size() <= kMaxName &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c > ' ' && c < 127; });
}

}  // namespace

absl::StatusOr<std::string> BackupPath(const std::string& folder,
                                       const std::string& file) {
  std::error_code error;
  fs::create_directories(folder, error);
  const fs::path root = fs::canonical(folder, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("backup_dir ", folder, ": ", error.message()));
  }
  const fs::path wanted = root / file;
  const std::string name = wanted.filename();
  // Of a name that leads elsewhere nothing is looked at.
  if (!IsPlain(name) || !IsBelow(root, wanted.lexically_normal())) {
    return LeadsOut(folder);
  }
  const fs::path parent = fs::canonical(wanted.parent_path(), error);
  if (error || !IsBelow(root, parent)) return LeadsOut(folder);
  return (parent / name).string();
}

}  // namespace sinkwatch::service

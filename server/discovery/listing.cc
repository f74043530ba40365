#include "server/discovery/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMostEntries = 200000;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

absl::Status ErrorOf(const std::string& path, int error) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(message)
                                             : absl::UnavailableError(message);
}

std::optional<Entry> Look(int folder, const char* name) {
  struct stat status;
  if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::nullopt;
  }
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
    return std::nullopt;
  }
  Entry entry;
  entry.name = name;
  entry.is_folder = S_ISDIR(status.st_mode);
  entry.size = entry.is_folder ? 0 : status.st_size;
  entry.modified_ns =
      int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec;
  return entry;
}

bool IsSelfOrParent(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

}  // namespace

absl::StatusOr<std::vector<Entry>> ListFolder(const std::string& path) {
  const std::unique_ptr<DIR, CloseFolder> folder(opendir(path.c_str()));
  if (folder == nullptr) return ErrorOf(path, errno);
  std::vector<Entry> entries;
  errno = 0;
  while (const dirent* next = readdir(folder.get())) {
    if (!IsSelfOrParent(next->d_name)) {
      auto entry = Look(dirfd(folder.get()), next->d_name);
      if (entry.has_value()) entries.push_back(*std::move(entry));
    }
    if (entries.size() > kMostEntries) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, ": more than ", kMostEntries, " entries"));
    }
    errno = 0;
  }
  if (errno != 0) return ErrorOf(path, errno);
  return entries;
}

}  // namespace sinkwatch::discovery

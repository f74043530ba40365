#include "server/discovery/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMaxEntries = 200000;

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

// Null, with errno, if it cannot be opened. Where that is allowed, looking
// leaves no time of access behind: those of 50,000 folders go through the
// journal of the file system, and whoever syncs a file waits for them.
Folder OpenFolder(const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;
  int file = open(path.c_str(), kFlags | O_NOATIME);
  if (file < 0 && errno == EPERM) file = open(path.c_str(), kFlags);
  return Folder(file < 0 ? nullptr : fdopendir(file));
}

absl::Status ErrorOf(const std::string& path, int error) {
  const std::string message = absl::StrCat(path, ": ", std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? absl::NotFoundError(message)
                                             : absl::UnavailableError(message);
}

Entry EntryOf(const std::string& name, const struct stat& status) {
  Entry entry;
  entry.name = name;
  entry.is_folder = S_ISDIR(status.st_mode);
  entry.size = entry.is_folder ? 0 : status.st_size;
  entry.modified_ns =
      int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec;
  return entry;
}

// What becomes of a link `name` in the open folder; none: it is left out.
using LinkPolicy =
    std::function<std::optional<Entry>(int folder, const char* name)>;

// Pipes, sockets and devices.
enum class Others { kLeftOut, kTold };

std::optional<Entry> Look(int folder, const char* name,
                          const LinkPolicy& policy, Others others) {
  struct stat status;
  if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::nullopt;
  }
  if (S_ISLNK(status.st_mode)) return policy(folder, name);
  if (others == Others::kLeftOut && !S_ISREG(status.st_mode) &&
      !S_ISDIR(status.st_mode)) {
    return std::nullopt;
  }
  return EntryOf(name, status);
}

std::optional<Entry> LeaveOut(int, const char*) { return std::nullopt; }

bool IsInside(const std::string& path, const std::string& folder) {
  return absl::StartsWith(path, folder == "/" ? folder : folder + "/");
}

// What a link leads to, or an entry that says what is wrong with it.
std::optional<Entry> FollowLink(const std::string& path,
                                const std::string& confinement,
                                const char* name, bool to_folders) {
  const std::string link = absl::StrCat(path, "/", name);
  char target[PATH_MAX];
  const ssize_t length = readlink(link.c_str(), target, sizeof(target));
  if (length < 0) return std::nullopt;  // gone since
  Entry entry;
  entry.name = name;
  entry.link.assign(target, static_cast<size_t>(length));
  char real[PATH_MAX];
  struct stat status;
  const char* wrong = nullptr;
  if (realpath(link.c_str(), real) == nullptr) {
    wrong = "is not there";
  } else if (!IsInside(real, confinement)) {
    wrong = "leaves the run's root";
  } else if (stat(real, &status) != 0 ||
             !(S_ISREG(status.st_mode) ||
               (to_folders && S_ISDIR(status.st_mode)))) {
    wrong = "is no file";
  }
  if (wrong != nullptr) {
    entry.broken = absl::StrCat("is a link to ", entry.link, ", which ", wrong);
    return entry;
  }
  Entry file = EntryOf(name, status);
  file.link = entry.link;
  return file;
}

absl::Status TooMany(const std::string& path) {
  return absl::ResourceExhaustedError(
      absl::StrCat(path, ": more than ", kMaxEntries, " entries"));
}

bool IsSelfOrParent(const char* name) {
  return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0;
}

absl::StatusOr<std::vector<Entry>> List(const std::string& path,
                                        const LinkPolicy& policy,
                                        Others others = Others::kLeftOut) {
  const Folder folder = OpenFolder(path);
  if (folder == nullptr) return ErrorOf(path, errno);
  std::vector<Entry> entries;
  errno = 0;
  while (const dirent* next = readdir(folder.get())) {
    if (!IsSelfOrParent(next->d_name)) {
      auto entry = Look(dirfd(folder.get()), next->d_name, policy, others);
      if (entry.has_value()) entries.push_back(*std::move(entry));
    }
    if (entries.size() > kMaxEntries) {
      return TooMany(path);
    }
    errno = 0;
  }
  if (errno != 0) return ErrorOf(path, errno);
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

}  // namespace

absl::StatusOr<std::vector<Entry>> ListFolder(const std::string& path) {
  return List(path, LeaveOut);
}

absl::StatusOr<std::vector<Entry>> ListRoot(const std::string& path,
                                            const std::string& confinement) {
  return List(
      path,
      [&](int, const char* name) {
        return FollowLink(path, confinement, name, true);
      },
      Others::kTold);
}

absl::StatusOr<std::vector<std::string>> ListNames(const std::string& path) {
  const Folder folder = OpenFolder(path);
  if (folder == nullptr) return ErrorOf(path, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* next = readdir(folder.get())) {
    if (!IsSelfOrParent(next->d_name)) names.emplace_back(next->d_name);
    if (names.size() > kMaxEntries) return TooMany(path);
    errno = 0;
  }
  if (errno != 0) return ErrorOf(path, errno);
  return names;
}

std::vector<Entry> FoldersNamed(const std::string& path,
                                const std::vector<std::string>& names) {
  std::vector<Entry> folders;
  for (const std::string& name : names) {
    struct stat status;
    const std::string full = absl::StrCat(path, "/", name);
    if (lstat(full.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      folders.push_back(EntryOf(name, status));
    }
  }
  return folders;
}

absl::StatusOr<Listing> ListCheckpoint(const std::string& path,
                                       const std::string& confinement,
                                       const std::set<std::string>& folders) {
  const auto list = [&](const std::string& folder) {
    return List(folder, [&](int, const char* name) {
      return FollowLink(folder, confinement, name, false);
    });
  };
  auto entries = list(path);
  if (!entries.ok()) return entries.status();
  Listing listing;
  for (const Entry& entry : *entries) {
    if (!entry.is_folder || folders.count(entry.name) == 0) continue;
    auto inside = list(absl::StrCat(path, "/", entry.name));
    if (absl::IsNotFound(inside.status())) continue;  // between the two looks
    if (!inside.ok()) return inside.status();
    listing.folders[entry.name] = *std::move(inside);
  }
  listing.entries = *std::move(entries);
  return listing;
}

absl::StatusOr<std::string> RealPath(const std::string& path) {
  char real[PATH_MAX];
  if (realpath(path.c_str(), real) == nullptr) return ErrorOf(path, errno);
  return std::string(real);
}

absl::StatusOr<Entry> LookAtFile(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return ErrorOf(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return absl::UnavailableError(absl::StrCat(path, ": is no file"));
  }
  return EntryOf(path, status);
}

}  // namespace sinkwatch::discovery

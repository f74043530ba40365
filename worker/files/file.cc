#include "worker/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sinkwatch::files {
namespace {

// A file that is missing from a folder that is there may still come; without
// the folder the trainer has deleted the whole.
absl::Status MissingError(const std::string& path) {
  struct stat info;
  if (::stat(ParentOf(path).c_str(), &info) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": the file is not there"));
  }
  return absl::NotFoundError(absl::StrCat(path, ": its folder is gone"));
}

absl::Status SystemError(const std::string& path, const char* call, int error) {
  if (error == ENOENT) return MissingError(path);
  if (error == ESTALE) {
    return absl::NotFoundError(absl::StrCat(path, ": gone from the server"));
  }
  if (error == ENOTDIR) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", ParentOf(path), " is not a folder"));
  }
  if (error == ELOOP) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": a link that leads to no file"));
  }
  return absl::UnavailableError(
      absl::StrCat(path, ": ", call, ": ", ::strerror(error)));
}

absl::StatusOr<std::string> RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) {
    return SystemError(path, "realpath", errno);
  }
  return std::string(resolved);
}

}  // namespace

std::string ParentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' &&
         path.compare(0, folder.size(), folder) == 0;
}

bool File::Identity::operator==(const Identity& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         modified_ns == other.modified_ns;
}

File::Identity File::IdentityOf(const struct stat& info) {
  return {info.st_dev, info.st_ino, info.st_size,
          info.st_mtim.tv_sec * int64_t{1000000000} + info.st_mtim.tv_nsec};
}

absl::StatusOr<std::unique_ptr<File>> File::Open(
    const std::string& path, const std::string& confinement) {
  absl::StatusOr<std::string> real_path = RealPath(path);
  if (!real_path.ok()) return real_path.status();
  if (!confinement.empty() && !IsBelow(*real_path, confinement)) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": leads to ", *real_path, ", outside of ",
                     confinement, ", which is not read"));
  }
  // Not blocking, as opening a pipe would wait for its writer.
  int fd = ::open(real_path->c_str(),
                  O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return SystemError(path, "open", errno);
  std::unique_ptr<File> file(new File(path, fd));
  struct stat info;
  if (::fstat(fd, &info) != 0) return SystemError(path, "fstat", errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::DataLossError(absl::StrCat(path, ": not a regular file"));
  }
  file->identity_ = IdentityOf(info);
  return file;
}

File::~File() { ::close(fd_); }

absl::Status File::ReadAt(int64_t offset, int64_t size, void* out) const {
  char* to = static_cast<char*>(out);
  while (size > 0) {
    constexpr int64_t kMaxRead = int64_t{1} << 30;  // Linux stops below 2^31
    ssize_t num_read = ::pread(fd_, to, std::min(size, kMaxRead), offset);
    if (num_read < 0 && errno == EINTR) continue;
    if (num_read < 0) return SystemError(path_, "pread", errno);
    if (num_read == 0) {
      if (absl::Status s = CheckUnchanged(); !s.ok()) return s;
      return absl::DataLossError(
          absl::StrCat(path_, ": ends at byte ", offset, ", but was ",
                       identity_.size, " bytes long when it was opened"));
    }
    to += num_read;
    offset += num_read;
    size -= num_read;
  }
  return absl::OkStatus();
}

absl::Status File::CheckUnchanged() const {
  struct stat info;
  if (::stat(path_.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ESTALE) {
      return absl::NotFoundError(
          absl::StrCat(path_, ": deleted since it was opened"));
    }
    return SystemError(path_, "stat", errno);
  }
  Identity now = IdentityOf(info);
  if (now == identity_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      path_, ": rewritten since it was opened (",
      now.inode == identity_.inode ? "same file, " : "another file, ",
      identity_.size, " bytes then, ", now.size, " now)"));
}

absl::StatusOr<std::string> RealFolderOf(const std::string& path) {
  absl::StatusOr<std::string> real_path = RealPath(path);
  if (!real_path.ok()) return real_path.status();
  return ParentOf(*real_path);
}

absl::StatusOr<std::string> RealPathOfFolder(const std::string& folder) {
  return RealPath(folder);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          int64_t max_bytes,
                                          const std::string& confinement) {
  absl::StatusOr<std::unique_ptr<File>> file = File::Open(path, confinement);
  if (!file.ok()) return file.status();
  const int64_t size = (*file)->size();
  if (size > max_bytes) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": ", size, " bytes, more than the ", max_bytes,
                     " that are read of such a file"));
  }
  std::string content(size, '\0');
  if (absl::Status s = (*file)->ReadAt(0, size, content.data()); !s.ok()) {
    return s;
  }
  if (absl::Status s = (*file)->CheckUnchanged(); !s.ok()) return s;
  return content;
}

bool IsBareName(absl::string_view name) {
  constexpr size_t kMaxName = 255;
  return !name.empty() && name.size() <= kMaxName && name != "." &&
         name != ".." && name.find('/') == absl::string_view::npos &&
         name.find('\0') == absl::string_view::npos;
}

}  // namespace sinkwatch::files

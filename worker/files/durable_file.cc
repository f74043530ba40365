#include "worker/files/durable_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace sinkwatch::files {
namespace {

namespace fs = std::filesystem;

absl::Status SystemError(const std::string& path, const char* call) {
  return absl::UnavailableError(
      absl::StrCat(path, ": ", call, ": ", ::strerror(errno)));
}

absl::Status ExistsError(const std::string& folder) {
  return absl::AlreadyExistsError(absl::StrCat(folder, ": is there already"));
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t num_written = ::write(fd, bytes.data(), bytes.size());
    if (num_written < 0 && errno == EINTR) continue;
    if (num_written < 0) return absl::UnavailableError(::strerror(errno));
    bytes.remove_prefix(num_written);
  }
  return absl::OkStatus();
}

absl::Status SyncFolder(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, "open");
  const bool synced = ::fsync(fd) == 0;
  absl::Status status = synced ? absl::OkStatus() : SystemError(path, "fsync");
  ::close(fd);
  return status;
}

}  // namespace

absl::Status WriteDurably(const std::string& path,
                          const std::vector<absl::string_view>& parts) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return SystemError(path, "open");
  absl::Status status;
  for (absl::string_view part : parts) {
    if (status.ok()) status = WriteAll(fd, part);
  }
  if (!status.ok()) {
    status = absl::UnavailableError(
        absl::StrCat(path, ": write: ", status.message()));
  } else if (::fsync(fd) != 0) {
    status = SystemError(path, "fsync");
  }
  // Network file systems report a failed write as late as here.
  if (::close(fd) != 0 && status.ok()) status = SystemError(path, "close");
  return status;
}

std::string TemporaryName(const std::string& folder) {
  return absl::StrCat(folder, "-tmp");
}

absl::Status BeginFolder(const std::string& folder) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(folder, error))) return ExistsError(folder);
  const std::string temporary = TemporaryName(folder);
  fs::remove_all(temporary, error);
  if (!error) fs::create_directories(temporary, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(temporary, ": create: ", error.message()));
}

absl::Status PublishFolder(const std::string& folder) {
  const std::string temporary = TemporaryName(folder);
  if (absl::Status s = SyncFolder(temporary); !s.ok()) return s;
  int renamed = ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD,
                            folder.c_str(), RENAME_NOREPLACE);
  // Not every file system has the flag; without it, rename still refuses to
  // replace a folder that holds anything.
  if (renamed != 0 && errno == EINVAL) {
    renamed = ::rename(temporary.c_str(), folder.c_str());
  }
  if (renamed != 0 && (errno == EEXIST || errno == ENOTEMPTY)) {
    return ExistsError(folder);
  }
  if (renamed != 0) return SystemError(folder, "rename");
  const std::string parent = fs::path(folder).parent_path().string();
  return SyncFolder(parent.empty() ? "." : parent);
}

}  // namespace sinkwatch::files

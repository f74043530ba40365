#ifndef SINKWATCH_WORKER_FILES_FILE_H_
#define SINKWATCH_WORKER_FILES_FILE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::files {

// A regular file that somebody else may still be writing, replacing or
// deleting. Bytes come by pread, so a file that shrinks costs an error where a
// mapping would cost a signal. The file is remembered as it was when it was
// opened. Thread-safe.
//
// Codes of every function here: FAILED_PRECONDITION (the file is not in its
// folder), NOT_FOUND (the folder is gone, or the file after it was opened),
// DATA_LOSS (not a regular file; changed since it was opened),
// UNIMPLEMENTED (a link that leaves its confinement), UNAVAILABLE (anything
// else the system reports). Every message begins with the path.
class File {
 public:
  // Opens `path` for reading. Where `confinement`, a folder without links, is
  // given, the file must lie below it once links are followed.
  static absl::StatusOr<std::unique_ptr<File>> Open(
      const std::string& path, const std::string& confinement = "");
  ~File();

  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  // In bytes, when it was opened.
  int64_t size() const { return identity_.size; }

  // Fills `out` with bytes [offset, offset + size), which the caller knows to
  // be inside the file as it was opened.
  absl::Status ReadAt(int64_t offset, int64_t size, void* out) const;

  // Whether the path still names the file that was opened, unchanged: device,
  // inode, size and modification time.
  absl::Status CheckUnchanged() const;

 private:
  struct Identity {
    dev_t device;
    ino_t inode;
    int64_t size;
    int64_t modified_ns;
    bool operator==(const Identity& other) const;
  };

  File(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  static Identity IdentityOf(const struct stat& info);

  const std::string path_;
  const int fd_;
  Identity identity_ = {};
};

// The folder in which `path` really lies: links of the folder and of the file
// are followed. A folder of links (a mirror, a build's run files, a download
// cache) is thereby as good as the folder that all its links point to.
absl::StatusOr<std::string> RealFolderOf(const std::string& path);

// `folder` itself, links followed.
absl::StatusOr<std::string> RealPathOfFolder(const std::string& folder);

// The folder that `path` names a file or folder of.
std::string ParentOf(const std::string& path);

// Whether `path` lies in `folder` or deeper, by their names alone.
bool IsBelow(const std::string& path, const std::string& folder);

// The whole of a file of at most `max_bytes`. A larger one is UNIMPLEMENTED.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                          int64_t max_bytes,
                                          const std::string& confinement = "");

// Whether `name` is a file name and not a path: not empty, no slash, no NUL,
// neither "." nor "..", at most 255 bytes.
bool IsBareName(absl::string_view name);

}  // namespace sinkwatch::files

#endif  // SINKWATCH_WORKER_FILES_FILE_H_

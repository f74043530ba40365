#include "proto/base/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::base {

namespace {

constexpr size_t kBlock = size_t{64} << 10;

class OpenFile {
 public:
  // Does not wait for a writer, as the open of a FIFO would.
  explicit OpenFile(const std::string& path)
      : descriptor_(
            open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) {}
  ~OpenFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor() const { return descriptor_; }
  bool IsRegular() const {
    struct stat status;
    return fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  }

 private:
  const int descriptor_;
};

}  // namespace

absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t most_mebibytes) {
  const OpenFile file(path);
  if (file.descriptor() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, " cannot be opened"));
  }
  if (!file.IsRegular()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no file"));
  }
  const size_t most_bytes = most_mebibytes << 20;
  std::string text;
  char block[kBlock];
  while (text.size() <= most_bytes) {
    const ssize_t count = read(file.descriptor(), block, kBlock);
    if (count < 0) {
      return absl::UnavailableError(absl::StrCat(path, " cannot be read"));
    }
    if (count == 0) return text;
    text.append(block, static_cast<size_t>(count));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is larger than ", most_mebibytes, " MiB"));
}

}  // namespace sinkwatch::base

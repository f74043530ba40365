#include "worker/commands/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace sinkwatch::worker {
namespace {

absl::Status CannotWrite(const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("cannot write ", path.empty() ? "standard output" : path,
                   ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(
    const std::string& path) {
  if (path.empty()) {
    return std::unique_ptr<OutputFile>(
        new OutputFile(path, STDOUT_FILENO, false));
  }
  int handle =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  const bool made = handle >= 0;
  if (!made && errno == EEXIST) {
    handle = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  }
  if (handle < 0) return CannotWrite(path);
  return std::unique_ptr<OutputFile>(new OutputFile(path, handle, made));
}

OutputFile::~OutputFile() {
  if (path_.empty()) return;
  ::close(handle_);
  if (made_) ::unlink(path_.c_str());
}

absl::Status OutputFile::Write(const std::string& text) {
  struct stat facts;
  if (!path_.empty() && ::fstat(handle_, &facts) == 0 &&
      S_ISREG(facts.st_mode) && ::ftruncate(handle_, 0) != 0) {
    return CannotWrite(path_);
  }
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count =
        ::write(handle_, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return CannotWrite(path_);
    done += static_cast<size_t>(count);
  }
  made_ = false;
  return absl::OkStatus();
}

}  // namespace sinkwatch::worker

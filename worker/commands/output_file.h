#ifndef SINKWATCH_WORKER_COMMANDS_OUTPUT_FILE_H_
#define SINKWATCH_WORKER_COMMANDS_OUTPUT_FILE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sinkwatch::worker {

// Where a result goes: opened before it is computed, so that hours of work do
// not end at a path that cannot be written. What the file held stays until
// Write; a file that was made for nothing is taken away again.
class OutputFile {
 public:
  // Empty `path`: standard output. UNAVAILABLE names the path and why not.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Open(
      const std::string& path);
  ~OutputFile();

  // Makes `text` the content, once. UNAVAILABLE if not all of it was written.
  absl::Status Write(const std::string& text);

 private:
  OutputFile(std::string path, int handle, bool made)
      : path_(std::move(path)), handle_(handle), made_(made) {}

  const std::string path_;  // empty: standard output
  const int handle_;
  bool made_;  // by Open, and nothing was written yet
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_OUTPUT_FILE_H_

#include "server/discovery/small_file.h"

#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::discovery {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t most_mebibytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::InvalidArgumentError(absl::StrCat(path, " cannot be opened"));
  }
  const size_t most_bytes = most_mebibytes << 20;
  std::string text(most_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) {
    return absl::UnavailableError(absl::StrCat(path, " cannot be read"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > most_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than ", most_mebibytes, " MiB"));
  }
  return text;
}

}  // namespace sinkwatch::discovery

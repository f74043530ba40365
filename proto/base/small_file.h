#ifndef SINKWATCH_PROTO_BASE_SMALL_FILE_H_
#define SINKWATCH_PROTO_BASE_SMALL_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace sinkwatch::base {

// The text of a file of at most `most_mebibytes`; no more memory is taken than
// that, and nothing waits for a writer. INVALID_ARGUMENT, naming the file, if
// it cannot be opened, is no regular file (a FIFO, a device) or is larger;
// UNAVAILABLE for a read error.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path,
                                          size_t most_mebibytes);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_SMALL_FILE_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_FOREIGN_FORMAT_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_FOREIGN_FORMAT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {

// How many bytes of a file's start tell its format.
inline constexpr int kForeignFormatBytes = 16;

// OK, or UNIMPLEMENTED where a file begins as one of a format that has a magic
// number and is not the one its name says: such a file is not broken. `start`
// is its first bytes; the message says what it is, the caller adds the file.
absl::Status CheckNotForeign(absl::string_view start);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_FOREIGN_FORMAT_H_

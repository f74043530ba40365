#ifndef SINKWATCH_WORKER_PROBE_TOKEN_FILE_H_
#define SINKWATCH_WORKER_PROBE_TOKEN_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/files/file.h"

namespace sinkwatch::probe {

// Bytes of an id of "uint8", "uint16", "uint32", "uint64"; 0 for any other.
int64_t BytesOfDtype(absl::string_view dtype);
// The dtype of ids of so many bytes.
std::string DtypeOfBytes(int64_t bytes);
// Bytes of the smallest dtype that holds every id below `vocabulary`: what
// OLMo-core takes where its config has no dtype.
int64_t SmallestIdBytes(int64_t vocabulary);

// Errors of the file system are worth another try, everything else about a
// probe is for its author to mend: INVALID_ARGUMENT.
absl::Status InvalidUnlessUnavailable(const absl::Status& error);

// Opens raw ids. A file with the header of NumPy's own .npy format is refused
// by that name: OLMo's files have the ending and no header.
absl::StatusOr<std::unique_ptr<files::File>> OpenTokenFile(
    const std::string& path, const std::string& real_folder);

// Appends the little-endian ids of `bytes`. INVALID_ARGUMENT, naming `path` and
// the position, for an id that is not below `vocabulary`, and for 16-bit ids
// that look like halves of 32-bit ones (every second one is 0 or 1, in 64 or
// more): the dtype is in no token file, so a wrong one shows in the ids only.
absl::Status AppendIds(const std::string& path, const std::string& bytes,
                       int64_t id_bytes, int64_t vocabulary,
                       std::vector<int64_t>& ids);

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_TOKEN_FILE_H_

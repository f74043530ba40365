#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_ZIP_DIRECTORY_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_ZIP_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {

// A part of a file that is a whole of its own: offsets inside of it count from
// its first byte.
struct FileSlice {
  const files::File* file;
  int64_t offset = 0;
  int64_t length = 0;  // the slice is inside the file as it was opened
};

// A member of a zip archive, stored as it is.
struct ZipMember {
  std::string name;
  int64_t offset = 0;  // of its bytes, from the file's first byte
  int64_t size = 0;
};

// The directory of a zip archive that fills a slice. We read less than the
// format allows, so that a hostile directory costs bounded memory and time:
inline constexpr size_t kMaxZipMembers = 101 * 1000;
inline constexpr int64_t kMaxZipDirectoryBytes = 32 << 20;
inline constexpr size_t kMaxZipNameBytes = 512;

// Reads the central directory of the zip archive in `slice` (with ZIP64) and
// the local header of each member, and checks one against the other. Members
// ascend by name; each is inside the slice and shares no byte with another
// member, a header or the directory. Reads no member.
//
// FAILED_PRECONDITION where the slice does not end as an archive does, as while
// it is being written; DATA_LOSS where the archive contradicts itself, a name
// is there twice or would leave its folder; UNIMPLEMENTED for members that are
// compressed or encrypted, for archives in several parts, and above a limit;
// and the codes of File. Messages name the file, the member and the rule.
absl::StatusOr<std::vector<ZipMember>> ReadZipDirectory(const FileSlice& slice);

// nullptr if there is no member of that name. `members` ascend by name.
const ZipMember* FindZipMember(const std::vector<ZipMember>& members,
                               absl::string_view name);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_ZIP_DIRECTORY_H_

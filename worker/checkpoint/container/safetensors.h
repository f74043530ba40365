#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/checkpoint/dtype.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/files/file.h"

namespace sinkwatch::checkpoint {

// The safetensors container: a header length (8 bytes, little-endian), that
// many bytes of JSON, then the tensors' bytes without a gap. README.md has the
// table of rules.
//
// The format allows a header of 100,000,000 bytes and sets no other limit. We
// read less, so that a hostile header costs bounded memory and time:
inline constexpr uint64_t kMaxHeaderBytes = 16 << 20;
inline constexpr size_t kMaxKeysPerEntry = 64;  // dtype, shape, offsets, extras
inline constexpr size_t kMaxHeaderDepth = 16;

// One entry of a header, every rule checked.
struct SafetensorsEntry {
  std::string name;
  const Dtype* dtype = nullptr;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // in the file, from its first byte
  int64_t end = 0;
};

// Reads and checks the header of `file`: afterwards each entry's bytes
// [begin, end) are inside the file, belong to no other entry, and are as many
// as dtype and shape say. Entries ascend by name. Reads no tensor.
//
// Codes: FAILED_PRECONDITION where the file is only shorter than it says
// itself, as while it is being written (also: empty, eight zero bytes where the
// length goes, a Git LFS pointer in place of the file); DATA_LOSS where it
// contradicts itself; UNIMPLEMENTED above a limit of ours or for an unknown
// dtype; and the codes of File. Messages name file, tensor and rule.
absl::StatusOr<std::vector<SafetensorsEntry>> ReadSafetensorsHeader(
    const files::File& file);

// The same for the JSON of a header alone, offsets counted from the first byte
// after the header. `data_bytes`: how many bytes follow it in the file. `path`
// is used in messages only.
absl::StatusOr<std::vector<SafetensorsEntry>> ParseSafetensorsHeader(
    const std::string& path, absl::string_view json, int64_t data_bytes);

// The weights of a folder in model.safetensors, or in the shards that
// model.safetensors.index.json names. A tensor that is in a shard but not
// listed is left out, with a warning in the log. All files lie in
// `confinement` once links are followed. Codes as above.
absl::StatusOr<Contents> OpenSafetensors(const std::string& folder,
                                         const std::string& confinement);
absl::StatusOr<Contents> OpenShardedSafetensors(const std::string& folder,
                                                const std::string& confinement);
// The same of one file, whatever its name.
absl::StatusOr<Contents> OpenSafetensorsFile(const std::string& path,
                                             const std::string& confinement);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_H_

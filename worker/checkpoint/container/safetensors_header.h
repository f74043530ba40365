#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_HEADER_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {

// An entry as the JSON has it, before its numbers are compared.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> offsets;  // begin, end
};

// Parses the JSON of a safetensors header in one pass, event by event, keeping
// the entries and the keys of the open objects and nothing else. Checks
// everything about the text: syntax, types, integers, required fields, repeated
// keys at every level, our limits. Entries come in the order of the text.
//
// DATA_LOSS for a broken rule of the format, UNIMPLEMENTED above a limit of
// ours. Messages name the tensor; the caller adds the file.
absl::StatusOr<std::vector<HeaderEntry>> ParseHeaderText(
    absl::string_view json);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_HEADER_H_

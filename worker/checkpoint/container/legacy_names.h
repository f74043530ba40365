#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_LEGACY_NAMES_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_LEGACY_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {

// What the older OLMo trainer (olmo/safetensors_util.py) has as the name of a
// tensor: base64url of the pickle of ((key, ...), value_is_pickled).
struct LegacyName {
  std::string name;  // the keys, joined by '.'
  // The tensor is the bytes of a pickled value: to be left alone.
  bool value_is_pickled = false;
};

// Whether `name` begins as such a pickle does (of protocol 4 or 5).
bool IsLegacyName(absl::string_view name);

// DATA_LOSS where `name` is not the one way to write such a pair; UNIMPLEMENTED
// for opcodes that such a pair does not need, and above a limit.
absl::StatusOr<LegacyName> DecodeLegacyName(absl::string_view name);

// What the names of all tensors of one file mean, in their order. Names of
// which none is such a pickle mean themselves. DATA_LOSS where some are pickles
// and others not, or two are one name; and the codes of DecodeLegacyName.
// Messages name the tensor.
absl::StatusOr<std::vector<LegacyName>> DecodeLegacyNames(
    const std::vector<absl::string_view>& names);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_LEGACY_NAMES_H_

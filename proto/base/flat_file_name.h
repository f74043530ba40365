#ifndef SINKWATCH_PROTO_BASE_FLAT_FILE_NAME_H_
#define SINKWATCH_PROTO_BASE_FLAT_FILE_NAME_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sinkwatch::base {

// The file of facts beside a checkpoint that is a file of its own, as nanochat
// names both: meta_000100.json of model_000100.pt. Empty of any other name.
std::string MetaNameOf(absl::string_view name);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_FLAT_FILE_NAME_H_

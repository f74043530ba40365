#ifndef SINKWATCH_PROTO_BASE_SHA256_H_
#define SINKWATCH_PROTO_BASE_SHA256_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sinkwatch::base {

// SHA-256 of `bytes` as 64 lower-case hex digits.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_SHA256_H_

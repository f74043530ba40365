#ifndef SINKWATCH_WORKER_PROBE_SHA256_H_
#define SINKWATCH_WORKER_PROBE_SHA256_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sinkwatch::probe {

// SHA-256 of `bytes` as 64 lower-case hex digits.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_SHA256_H_

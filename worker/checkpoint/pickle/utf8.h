#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_UTF8_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_UTF8_H_

#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint::pickle {

// Whether `text` is UTF-8 as RFC 3629 has it: shortest forms only, nothing
// above U+10FFFF, no surrogates.
bool IsUtf8(absl::string_view text);

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_UTF8_H_

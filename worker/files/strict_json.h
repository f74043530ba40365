#ifndef SINKWATCH_WORKER_FILES_STRICT_JSON_H_
#define SINKWATCH_WORKER_FILES_STRICT_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::files {

// What a document may cost.
struct JsonLimits {
  size_t depth = 32;            // objects and arrays inside one another
  size_t values = 1000 * 1000;  // scalars, objects and arrays together
  // NaN, Infinity and -Infinity are numbers, as Python's json module writes and
  // reads them.
  bool python_numbers = false;
};

// Parses `text` as one JSON object, stricter than the library does: no byte
// order mark, no NUL (which the library takes for the end of the text), no key
// twice in one object, nothing above `limits`. The limits are checked in a
// first pass that keeps nothing but the keys of the open objects.
//
// Codes, for the caller to translate: OUT_OF_RANGE if the text ends before the
// object does, as a half-written file does; RESOURCE_EXHAUSTED above a limit;
// INVALID_ARGUMENT for anything else. The message names the byte or the key;
// it never quotes the text, which need not be the caller's to show.
absl::StatusOr<nlohmann::json> ParseJsonObject(absl::string_view text,
                                               const JsonLimits& limits = {});

// What is wrong with `text` before any parser sees it: empty, a NUL, or a first
// byte other than `{` after white space. The codes of ParseJsonObject.
absl::Status CheckJsonObjectText(absl::string_view text);

// The error of nlohmann's parser, which stopped at byte `position` (from 1), in
// the codes of ParseJsonObject.
absl::Status JsonSyntaxError(size_t position, absl::string_view text);

// `text` in quotes for a message: escaped, and cut at 80 characters.
std::string Quoted(absl::string_view text);

}  // namespace sinkwatch::files

#endif  // SINKWATCH_WORKER_FILES_STRICT_JSON_H_

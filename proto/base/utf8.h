#ifndef SINKWATCH_PROTO_BASE_UTF8_H_
#define SINKWATCH_PROTO_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

// UTF-8 as RFC 3629 has it: shortest forms only, nothing above U+10FFFF, no
// surrogates.
namespace sinkwatch::base {

// Bytes of the character that `text` begins with, 1 to 4; 0 if none does.
size_t Utf8CharacterBytes(absl::string_view text);

bool IsUtf8(absl::string_view text);

// `bytes` as UTF-8 that UnescapeBytes turns back into the very same bytes, so
// that two names that differ still differ. Each byte that belongs to no
// character becomes \xHH, two upper-case hex digits; so does a backslash
// that would otherwise be read as the start of such a form. Text that is UTF-8
// and has no such backslash stays as it is.
std::string EscapeBytes(absl::string_view bytes);

// The bytes that EscapeBytes made `text` of. Text that it cannot have made is
// taken as it is, but for its \xHH.
std::string UnescapeBytes(absl::string_view text);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_UTF8_H_

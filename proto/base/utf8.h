#ifndef SINKWATCH_PROTO_BASE_UTF8_H_
#define SINKWATCH_PROTO_BASE_UTF8_H_

#include <cstddef>
#include <functional>
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

// Whether a character, as Utf8CharacterBytes cuts it, drives what shows it
// instead of being shown: controls (C0, DEL, C1), ends of lines and paragraphs,
// and marks that turn the direction of the text around them.
bool IsControl(absl::string_view character);

// `bytes` with a replacement for each character that IsControl, and for each
// byte that is no UTF-8.
std::string ReplaceControls(
    absl::string_view bytes,
    const std::function<std::string(absl::string_view)>& replacement);

// `bytes` for a log or a terminal: one line, in which nobody's name forges
// another line, moves the cursor or hides what follows. Each byte of a control
// and of what is no UTF-8 becomes \xHH.
std::string OneLine(absl::string_view bytes);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_UTF8_H_

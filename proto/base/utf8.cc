#include "proto/base/utf8.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace sinkwatch::base {
namespace {

constexpr size_t kEscapeBytes = 4;  // \xHH

// Bytes of the sequence that `lead` begins; 0 if none does.
size_t LengthOf(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;  // a continuation, or an overlong form
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

// Whether the second byte can follow its lead (table 3-7 of the Unicode
// standard).
bool CanFollow(uint8_t lead, uint8_t second) {
  if (lead == 0xe0) return second >= 0xa0 && second <= 0xbf;
  if (lead == 0xed) return second >= 0x80 && second <= 0x9f;
  if (lead == 0xf0) return second >= 0x90 && second <= 0xbf;
  if (lead == 0xf4) return second >= 0x80 && second <= 0x8f;
  return second >= 0x80 && second <= 0xbf;
}

// The value of an upper-case hex digit; -1 for any other byte.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of the \xHH that `text` begins with; -1 if it does not.
int EscapedByte(absl::string_view text) {
  if (text.size() < kEscapeBytes || text[0] != '\\' || text[1] != 'x') {
    return -1;
  }
  const int high = HexValue(text[2]), low = HexValue(text[3]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

// The code point of a character of two or three bytes.
uint32_t CodePoint(absl::string_view character) {
  uint32_t value = character[0] & (character.size() == 2 ? 0x1f : 0x0f);
  for (char c : character.substr(1)) value = value << 6 | (c & 0x3f);
  return value;
}

}  // namespace

size_t Utf8CharacterBytes(absl::string_view text) {
  if (text.empty()) return 0;
  const uint8_t lead = text[0];
  const size_t length = LengthOf(lead);
  if (length == 0 || length > text.size()) return 0;
  if (length > 1 && !CanFollow(lead, text[1])) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8CharacterBytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string EscapeBytes(absl::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    size_t length = Utf8CharacterBytes(bytes);
    if (length == 0 || EscapedByte(bytes) >= 0) {
      absl::StrAppendFormat(&text, "\\x%02X", static_cast<uint8_t>(bytes[0]));
      length = 1;
    } else {
      text.append(bytes.data(), length);
    }
    bytes.remove_prefix(length);
  }
  return text;
}

std::string UnescapeBytes(absl::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const int escaped = EscapedByte(text);
    bytes.push_back(escaped >= 0 ? static_cast<char>(escaped) : text[0]);
    text.remove_prefix(escaped >= 0 ? kEscapeBytes : 1);
  }
  return bytes;
}

bool IsControl(absl::string_view character) {
  if (character.size() == 1) {
    const uint8_t byte = character[0];
    return byte < 0x20 || byte == 0x7f;
  }
  if (character.size() > 3) return false;
  const uint32_t code = CodePoint(character);
  return code < 0xa0 || code == 0x061c || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

std::string ReplaceControls(
    absl::string_view bytes,
    const std::function<std::string(absl::string_view)>& replacement) {
  std::string shown;
  while (!bytes.empty()) {
    const size_t length = Utf8CharacterBytes(bytes);
    const absl::string_view part = bytes.substr(0, std::max<size_t>(length, 1));
    if (length > 0 && !IsControl(part)) {
      shown.append(part.data(), part.size());
    } else {
      shown += replacement(part);
    }
    bytes.remove_prefix(part.size());
  }
  return shown;
}

std::string OneLine(absl::string_view bytes) {
  return ReplaceControls(bytes, [](absl::string_view part) {
    std::string escaped;
    for (char c : part) {
      absl::StrAppendFormat(&escaped, "\\x%02X", static_cast<uint8_t>(c));
    }
    return escaped;
  });
}

}  // namespace sinkwatch::base

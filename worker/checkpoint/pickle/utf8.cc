#include "worker/checkpoint/pickle/utf8.h"

#include <cstddef>
#include <cstdint>

namespace sinkwatch::checkpoint::pickle {
namespace {

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

}  // namespace

bool IsUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const uint8_t lead = text[i];
    const size_t length = LengthOf(lead);
    if (length == 0 || length > text.size() - i) return false;
    if (length > 1 && !CanFollow(lead, text[i + 1])) return false;
    for (size_t k = 2; k < length; ++k) {
      if ((text[i + k] & 0xc0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace sinkwatch::checkpoint::pickle

#include "worker/checkpoint/finite.h"

#include <algorithm>

namespace sinkwatch::checkpoint {
namespace {

// A float is not finite when all bits of its exponent are set. Without a branch
// in the loop, so that it is done in vectors.
template <typename Bits>
inline __attribute__((always_inline)) bool HasExponent(const Bits* bits,
                                                       int64_t count,
                                                       Bits exponent) {
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) {
    found |= static_cast<Bits>((bits[i] & exponent) == exponent);
  }
  return found != 0;
}

template <typename Bits>
bool HasExponentPortable(const Bits* bits, int64_t count, Bits exponent) {
  return HasExponent(bits, count, exponent);
}

#if defined(__x86_64__)
template <typename Bits>
__attribute__((target("avx2"))) bool HasExponentAvx2(const Bits* bits,
                                                     int64_t count,
                                                     Bits exponent) {
  return HasExponent(bits, count, exponent);
}
#endif

bool HasAvx2() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
#else
  return false;
#endif
}

// By blocks, then by elements in the first block that has one.
template <typename Bits>
int64_t FirstWithExponent(const void* data, int64_t count, Bits exponent) {
  constexpr int64_t kBlock = 4096;
  const auto has = [exponent](const Bits* bits, int64_t n) {
#if defined(__x86_64__)
    if (HasAvx2()) return HasExponentAvx2(bits, n, exponent);
#endif
    return HasExponentPortable(bits, n, exponent);
  };
  const Bits* bits = static_cast<const Bits*>(data);
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t end = std::min(start + kBlock, count);
    if (!has(bits + start, end - start)) continue;
    const Bits* first =
        std::find_if(bits + start, bits + end,
                     [exponent](Bits b) { return (b & exponent) == exponent; });
    return first - bits;
  }
  return -1;
}

}  // namespace

int64_t FirstNonFinite(const void* data, int64_t count, c10::ScalarType type) {
  switch (type) {
    case c10::ScalarType::BFloat16:
      return FirstWithExponent<uint16_t>(data, count, 0x7f80);
    case c10::ScalarType::Half:
      return FirstWithExponent<uint16_t>(data, count, 0x7c00);
    case c10::ScalarType::Double:
      return FirstWithExponent<uint64_t>(data, count, 0x7ff0000000000000);
    default:
      return FirstWithExponent<uint32_t>(data, count, 0x7f800000);
  }
}

}  // namespace sinkwatch::checkpoint

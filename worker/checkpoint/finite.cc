#include "worker/checkpoint/finite.h"

#include <algorithm>

namespace sinkwatch::checkpoint {
namespace {

// A float is not finite when all bits of its exponent are set. Looks at blocks
// without a branch, so that the compiler can use vectors, and at single
// elements only in a block that has one.
template <typename Bits>
int64_t FirstWithExponent(const void* data, int64_t count, Bits exponent) {
  constexpr int64_t kBlock = 4096;
  const Bits* bits = static_cast<const Bits*>(data);
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t end = std::min(start + kBlock, count);
    Bits found = 0;
    for (int64_t i = start; i < end; ++i) {
      found |= static_cast<Bits>((bits[i] & exponent) == exponent);
    }
    if (found == 0) continue;
    const Bits* first =
        std::find_if(bits + start, bits + end,
                     [exponent](Bits b) { return (b & exponent) == exponent; });
    return first - bits;
  }
  return -1;
}

}  // namespace

int64_t FirstNonFinite(const at::Tensor& tensor) {
  const void* data = tensor.const_data_ptr();
  const int64_t count = tensor.numel();
  switch (tensor.scalar_type()) {
    case at::kBFloat16:
      return FirstWithExponent<uint16_t>(data, count, 0x7f80);
    case at::kHalf:
      return FirstWithExponent<uint16_t>(data, count, 0x7c00);
    case at::kDouble:
      return FirstWithExponent<uint64_t>(data, count, 0x7ff0000000000000);
    default:
      return FirstWithExponent<uint32_t>(data, count, 0x7f800000);
  }
}

}  // namespace sinkwatch::checkpoint

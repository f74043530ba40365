#include "worker/kernels/row_median.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/empty.h"
#include "torch/library.h"

namespace sinkwatch::kernels {
namespace {

constexpr int kBinBits = 11;
constexpr int64_t kBinned = 1024;  // shorter rows are not worth a histogram

// Floats as integers of the same order. What is not a number has a place in
// this order too, which keeps nth_element within its bounds.
int32_t KeyOf(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits >= 0 ? bits : bits ^ 0x7fffffff;
}

float FromKey(int32_t key) {
  if (key < 0) key ^= 0x7fffffff;
  float x;
  std::memcpy(&x, &key, sizeof x);
  return x;
}

// Mean of the elements of ranks `lower` and `upper`, the same or neighbours.
float MiddleOf(std::vector<int32_t>& keys, int64_t lower, int64_t upper) {
  std::nth_element(keys.begin(), keys.begin() + upper, keys.end());
  const float high = FromKey(keys[upper]);
  if (lower == upper) return high;
  return (FromKey(*std::max_element(keys.begin(), keys.begin() + upper)) +
          high) /
         2;
}

uint32_t BinOf(int32_t key) {
  return (static_cast<uint32_t>(key) ^ 0x80000000u) >> (32 - kBinBits);
}

float Median(const float* x, int64_t n, std::vector<int32_t>& keys) {
  const int64_t lower = (n - 1) / 2, upper = n / 2;
  keys.clear();
  if (n < kBinned) {
    for (int64_t i = 0; i < n; ++i) keys.push_back(KeyOf(x[i]));
    return MiddleOf(keys, lower, upper);
  }
  std::array<int64_t, 1 << kBinBits> count = {};
  for (int64_t i = 0; i < n; ++i) ++count[BinOf(KeyOf(x[i]))];
  uint32_t first = 0;
  int64_t before = 0;
  while (before + count[first] <= lower) before += count[first++];
  uint32_t last = first;
  for (int64_t end = before + count[first]; end <= upper;) end += count[++last];
  for (int64_t i = 0; i < n; ++i) {
    const int32_t key = KeyOf(x[i]);
    const uint32_t bin = BinOf(key);
    if (bin >= first && bin <= last) keys.push_back(key);
  }
  return MiddleOf(keys, lower - before, upper - before);
}

at::Tensor RowMedianCpu(const at::Tensor& x_BN, bool absolute) {
  at::Tensor x = x_BN.to(at::kFloat);
  x = (absolute ? x.abs() : x).contiguous();
  const int64_t rows = x.size(0), n = x.size(1);
  at::Tensor median_B = at::empty({rows}, at::kFloat);
  const float* from = x.const_data_ptr<float>();
  float* to = median_B.mutable_data_ptr<float>();
  std::vector<int32_t> keys;
  for (int64_t b = 0; b < rows; ++b) to[b] = Median(from + b * n, n, keys);
  return median_B;
}

at::Tensor RowMedianByCpu(const at::Tensor& x_BN, bool absolute) {
  return RowMedianCpu(x_BN.to(at::kCPU), absolute).to(x_BN.device());
}

}  // namespace

at::Tensor RowMedian(const at::Tensor& x_BN, bool absolute) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::row_median", "")
                             .typed<decltype(RowMedianCpu)>();
  TORCH_CHECK(x_BN.dim() == 2 && x_BN.size(1) > 0, "row_median: ", x_BN.sizes(),
              " has no rows of something");
  TORCH_CHECK(
      x_BN.scalar_type() == at::kFloat || x_BN.scalar_type() == at::kBFloat16,
      "row_median: float32 or bfloat16, not ", x_BN.scalar_type());
  return op.call(x_BN, absolute);
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("row_median(Tensor x, bool absolute) -> Tensor");
}

TORCH_LIBRARY_IMPL(sinkwatch, CPU, m) {
  m.impl("row_median", sinkwatch::kernels::RowMedianCpu);
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("row_median", sinkwatch::kernels::RowMedianByCpu);
}

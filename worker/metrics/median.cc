#include "worker/metrics/median.h"

#include <tuple>

#include "ATen/ops/kthvalue.h"

namespace sinkwatch::metrics {

at::Tensor MedianOfLast(const at::Tensor& x) {
  const int64_t n = x.size(-1);
  at::Tensor upper = std::get<0>(at::kthvalue(x, n / 2 + 1, -1));
  if (n % 2 == 1) return upper;
  return std::get<0>(at::kthvalue(x, n / 2, -1)).add(upper).div(2);
}

}  // namespace sinkwatch::metrics

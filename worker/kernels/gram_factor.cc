#include "worker/kernels/gram_factor.h"

#include <tuple>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/linalg_cholesky_ex.h"
#include "torch/library.h"
#include "worker/kernels/gram_rule.h"

namespace sinkwatch::kernels {
namespace {

at::Tensor GramFactorByOperators(const at::Tensor& parts_SHEE) {
  const double ridge =
      parts_SHEE.scalar_type() == at::kFloat ? kRidgeOfFloats : kRidge;
  at::Tensor gram_HEE = parts_SHEE.to(at::kDouble).sum(0);
  const at::Tensor diagonal_HE = gram_HEE.diagonal(0, -2, -1);
  diagonal_HE.add_(
      diagonal_HE.amax(-1, /*keepdim=*/true).mul(ridge).add(kSmallestRidge));
  return std::get<0>(at::linalg_cholesky_ex(gram_HEE, /*upper=*/true))
      .to(at::kFloat);
}

}  // namespace

at::Tensor GramFactor(const at::Tensor& parts_SHEE) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::gram_factor", "")
                             .typed<decltype(GramFactorByOperators)>();
  TORCH_CHECK(parts_SHEE.dim() == 4 &&
                  (parts_SHEE.scalar_type() == at::kDouble ||
                   parts_SHEE.scalar_type() == at::kFloat) &&
                  parts_SHEE.size(2) == parts_SHEE.size(3),
              "gram_factor: ", parts_SHEE.sizes(), " ",
              parts_SHEE.scalar_type());
  // A device's own implementation has shared memory for so much.
  if (parts_SHEE.size(3) > kMaxGramWidth) {
    return GramFactorByOperators(parts_SHEE);
  }
  return op.call(parts_SHEE);
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("gram_factor(Tensor parts) -> Tensor");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("gram_factor", sinkwatch::kernels::GramFactorByOperators);
}

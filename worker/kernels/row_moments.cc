#include "worker/kernels/row_moments.h"

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/abs.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/stack.h"
#include "torch/library.h"

namespace sinkwatch::kernels {
namespace {

at::Tensor RowSumsByOperators(const at::Tensor& x) {
  const at::Tensor x_BTD = x.to(at::kFloat);
  return at::stack({at::linalg_vector_norm(x_BTD, 2, at::IntArrayRef{-1}),
                    x_BTD.sum(-1), at::abs(x_BTD).amax(-1)});
}

at::Tensor RowPowersByOperators(const at::Tensor& x, const at::Tensor& mean_B) {
  at::Tensor square_BTD = x.to(at::kFloat).sub(mean_B.view({-1, 1, 1}));
  square_BTD.square_();
  const at::Tensor second_BT = square_BTD.sum(-1);
  return at::stack({second_BT, square_BTD.square_().sum(-1)});
}

}  // namespace

at::Tensor RowSums(const at::Tensor& x_BTD) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::row_sums", "")
                             .typed<decltype(RowSumsByOperators)>();
  return op.call(x_BTD);
}

at::Tensor RowPowers(const at::Tensor& x_BTD, const at::Tensor& mean_B) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::row_powers", "")
                             .typed<decltype(RowPowersByOperators)>();
  return op.call(x_BTD, mean_B);
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("row_sums(Tensor x) -> Tensor");
  m.def("row_powers(Tensor x, Tensor mean) -> Tensor");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("row_sums", sinkwatch::kernels::RowSumsByOperators);
  m.impl("row_powers", sinkwatch::kernels::RowPowersByOperators);
}

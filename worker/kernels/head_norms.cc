#include "worker/kernels/head_norms.h"

#include <tuple>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "c10/util/Exception.h"
#include "torch/library.h"

namespace sinkwatch::kernels {
namespace {

at::Tensor HeadNormsByOperators(const at::Tensor& x) {
  return at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/false,
                                at::kFloat);
}

// One product for all vectors of a group and the factors of its heads. S = B T
// vectors, P = H / N rows of factors.
std::tuple<at::Tensor, at::Tensor> WrittenNormsByOperators(
    const at::Tensor& x_BNTE, const at::Tensor& factor_HRE) {
  const int64_t B = x_BNTE.size(0), N = x_BNTE.size(1), T = x_BNTE.size(2),
                E = x_BNTE.size(3), H = factor_HRE.size(0),
                R = factor_HRE.size(1);
  const at::Tensor x_NSE =
      x_BNTE.transpose(0, 1).reshape({N, -1, E}).to(at::kFloat);
  const at::Tensor factor_NEP =
      factor_HRE.reshape({N, H / N * R, E}).transpose(1, 2);
  const at::Tensor y_NBTPR =
      at::bmm(x_NSE, factor_NEP).view({N, B, T, H / N, R});
  return {
      HeadNormsByOperators(y_NBTPR).permute({1, 0, 3, 2}).reshape({B, H, T}),
      at::empty({0}, factor_HRE.options())};
}

void CheckType(const char* name, const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16,
              name, ": float32 or bfloat16, not ", x.scalar_type());
}

}  // namespace

at::Tensor HeadNorms(const at::Tensor& x_BNTE) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::head_norms", "")
                             .typed<decltype(HeadNormsByOperators)>();
  TORCH_CHECK(x_BNTE.dim() == 4, "head_norms: ", x_BNTE.sizes());
  CheckType("head_norms", x_BNTE);
  return op.call(x_BNTE);
}

WrittenLengths WrittenNorms(const at::Tensor& x_BNTE,
                            const at::Tensor& factor_HRE) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::written_norms", "")
                             .typed<decltype(WrittenNormsByOperators)>();
  TORCH_CHECK(x_BNTE.dim() == 4 && factor_HRE.dim() == 3 &&
                  x_BNTE.size(3) == factor_HRE.size(2) &&
                  factor_HRE.size(0) % x_BNTE.size(1) == 0 &&
                  factor_HRE.scalar_type() == at::kFloat,
              "written_norms: ", x_BNTE.sizes(), " and ", factor_HRE.sizes(),
              " ", factor_HRE.scalar_type());
  CheckType("written_norms", x_BNTE);
  // A device's own implementation has places for so much.
  constexpr int64_t kWidest = 256, kGrid = 65535;
  const bool fits = x_BNTE.size(3) <= kWidest && x_BNTE.size(0) <= kGrid &&
                    factor_HRE.size(0) <= kGrid;
  auto [written, plain] = fits ? op.call(x_BNTE, factor_HRE)
                               : WrittenNormsByOperators(x_BNTE, factor_HRE);
  return {written, plain.numel() > 0 ? plain : at::Tensor()};
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("head_norms(Tensor x) -> Tensor");
  m.def("written_norms(Tensor x, Tensor factor) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("head_norms", sinkwatch::kernels::HeadNormsByOperators);
  m.impl("written_norms", sinkwatch::kernels::WrittenNormsByOperators);
}

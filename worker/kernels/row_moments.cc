#include "worker/kernels/row_moments.h"

#include <tuple>

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/abs.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/linalg_vector_norm.h"
#include "ATen/ops/stack.h"
#include "torch/library.h"

namespace sinkwatch::kernels {
namespace {

// Keeps a sequence of equal numbers from dividing by 0.
constexpr double kSmallest = 1e-6;

std::tuple<at::Tensor, at::Tensor> RowSumsByOperators(const at::Tensor& x) {
  const at::Tensor x_BTD = x.to(at::kFloat);
  return {at::stack({at::linalg_vector_norm(x_BTD, 2, at::IntArrayRef{-1}),
                     x_BTD.sum(-1), at::abs(x_BTD).amax(-1)}),
          at::empty({0}, x_BTD.options().dtype(at::kDouble))};
}

// From sums over rows. In double, so that only a mean of some hundred standard
// deviations cancels digits that are asked for.
at::Tensor KurtosisOfPowers(const at::Tensor& powers_PBT, int64_t width) {
  const at::Tensor mean_PB =
      powers_PBT.sum(-1).div(static_cast<double>(powers_PBT.size(2) * width));
  const at::Tensor m1 = mean_PB[kPower1], m2 = mean_PB[kPower2],
                   m3 = mean_PB[kPower3], m4 = mean_PB[kPower4];
  const at::Tensor square = m1 * m1;
  const at::Tensor second = m2 - square;
  const at::Tensor fourth =
      m4 - m1 * m3 * 4 + square * m2 * 6 - square * square * 3;
  return (fourth / (second * second + kSmallest)).unsqueeze(-1);
}

// Mean over tokens x dims, of sums over dims: [B] in double.
at::Tensor MeanOf(const at::Tensor& sum_BT, int64_t width) {
  return sum_BT.mean(-1, /*keepdim=*/false, at::kDouble)
      .div(static_cast<double>(width));
}

// By a second reading: powers of the distance from the mean, so that a large
// mean cancels nothing.
at::Tensor KurtosisAroundMean(const at::Tensor& x_BTD, const at::Tensor& sums) {
  const int64_t width = x_BTD.size(2);
  const at::Tensor mean_B = MeanOf(sums[kRowTotal], width).to(at::kFloat);
  at::Tensor square_BTD = x_BTD.to(at::kFloat).sub(mean_B.view({-1, 1, 1}));
  square_BTD.square_();
  const at::Tensor second_B = MeanOf(square_BTD.sum(-1), width);
  return MeanOf(square_BTD.square_().sum(-1), width)
      .div(second_B.square().add(kSmallest))
      .unsqueeze(-1);
}

}  // namespace

RowMoments RowSums(const at::Tensor& x_BTD) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::row_sums", "")
                             .typed<decltype(RowSumsByOperators)>();
  auto [sums, powers] = op.call(x_BTD);
  return {sums, powers};
}

at::Tensor SequenceKurtosis(const at::Tensor& x_BTD,
                            const RowMoments& moments) {
  if (moments.powers.numel() == 0) {
    return KurtosisAroundMean(x_BTD, moments.sums);
  }
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::kurtosis_of_powers", "")
          .typed<decltype(KurtosisOfPowers)>();
  return op.call(moments.powers, x_BTD.size(2));
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("row_sums(Tensor x) -> (Tensor, Tensor)");
  m.def("kurtosis_of_powers(Tensor powers, int width) -> Tensor");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("row_sums", sinkwatch::kernels::RowSumsByOperators);
  m.impl("kurtosis_of_powers", sinkwatch::kernels::KurtosisOfPowers);
}

#include "worker/kernels/sink_columns.h"

#include <algorithm>
#include <tuple>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/topk.h"
#include "ATen/ops/where.h"
#include "ATen/ops/zeros.h"
#include "torch/library.h"
#include "worker/kernels/sink_rule.h"

namespace sinkwatch::kernels {
namespace {

// Rows t >= 1 that see column k, for every k: float32 [T] on the CPU.
at::Tensor RowsThatSee(int64_t tokens, int64_t window) {
  const int64_t reach = window > 0 ? window : tokens;
  at::Tensor rows = at::zeros({tokens}, at::kFloat);
  float* count = rows.mutable_data_ptr<float>();
  for (int64_t k = 0; k < tokens; ++k) {
    const int64_t first = std::max<int64_t>(k, 1);
    const int64_t end = std::min(tokens, k + reach);
    count[k] = static_cast<float>(std::max<int64_t>(end - first, 0));
  }
  return rows;
}

std::tuple<at::Tensor, at::Tensor> SinkColumnsByOperators(
    const at::Tensor& column_mass_BHT, int64_t window) {
  const int64_t length = column_mass_BHT.size(2);
  const at::Tensor rows =
      RowsThatSee(length, window).to(column_mass_BHT.device());
  const at::Tensor mean_BHT =
      at::where(rows.ge(FewestRowsOfSink(length, window)),
                column_mass_BHT.div(rows.clamp_min(1)), 0.0);
  auto [mass_BHC, column_BHC] =
      at::topk(mean_BHT, std::min(kMaxSinks, length), /*dim=*/-1);
  const at::Tensor is_sink_BHC = mass_BHC.gt(kMinMassOfSink);
  return {at::where(is_sink_BHC, column_BHC, -1), mass_BHC.mul(is_sink_BHC)};
}

}  // namespace

SinkColumns FindSinkColumns(const at::Tensor& column_mass_BHT, int64_t window) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::sink_columns", "")
                             .typed<decltype(SinkColumnsByOperators)>();
  TORCH_CHECK(
      column_mass_BHT.dim() == 3 && column_mass_BHT.scalar_type() == at::kFloat,
      "sink_columns: float32 [B,H,T], not ", column_mass_BHT.scalar_type(), " ",
      column_mass_BHT.sizes());
  auto [column_BHC, mass_BHC] = op.call(column_mass_BHT, window);
  return {column_BHC, mass_BHC};
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("sink_columns(Tensor column_mass, int window) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("sink_columns", sinkwatch::kernels::SinkColumnsByOperators);
}

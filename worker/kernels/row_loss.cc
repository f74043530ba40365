#include "worker/kernels/row_loss.h"

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/logaddexp.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/where.h"
#include "torch/library.h"

namespace sinkwatch::kernels {
namespace {

void AddRowLossByOperators(const at::Tensor& logits, const at::Tensor& target_R,
                           int64_t first, const at::Tensor& log_sum_exp_R,
                           const at::Tensor& target_logit_R) {
  const at::Tensor logits_RV = logits.to(at::kFloat);
  const int64_t columns = logits_RV.size(1);
  log_sum_exp_R.copy_(
      at::logaddexp(log_sum_exp_R, at::logsumexp(logits_RV, -1)));
  const at::Tensor column_R = target_R - first;
  const at::Tensor inside_R = (column_R >= 0).logical_and(column_R < columns);
  const at::Tensor found_R =
      logits_RV.gather(-1, column_R.clamp(0, columns - 1).unsqueeze(-1))
          .squeeze(-1);
  target_logit_R.copy_(at::where(inside_R, found_R, target_logit_R));
}

}  // namespace

void AddRowLoss(const at::Tensor& logits_RV, const at::Tensor& target_R,
                int64_t first, const at::Tensor& log_sum_exp_R,
                const at::Tensor& target_logit_R) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("sinkwatch::row_loss_", "")
                             .typed<decltype(AddRowLossByOperators)>();
  op.call(logits_RV, target_R, first, log_sum_exp_R, target_logit_R);
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def(
      "row_loss_(Tensor logits, Tensor target, int first, Tensor(a!) "
      "log_sum_exp, Tensor(b!) target_logit) -> ()");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("row_loss_", sinkwatch::kernels::AddRowLossByOperators);
}

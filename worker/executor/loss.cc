#include "worker/executor/loss.h"

#include <algorithm>
#include <limits>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/logaddexp.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/where.h"
#include "ATen/ops/zeros.h"

namespace sinkwatch::executor {
namespace {

// Logits in memory at a time: 16 MiB of float32.
constexpr int64_t kLogitsPerBlock = int64_t{1} << 22;

}  // namespace

NextTokenLoss::NextTokenLoss(const at::Tensor& tokens_BT)
    : sequences_(tokens_BT.size(0)),
      rows_(tokens_BT.size(1) - 1),
      target_R_(tokens_BT.slice(1, 1).reshape({sequences_ * rows_})),
      log_sum_exp_R_(at::full({sequences_ * rows_},
                              -std::numeric_limits<float>::infinity(),
                              tokens_BT.options().dtype(at::kFloat))),
      target_logit_R_(at::zeros({sequences_ * rows_},
                                tokens_BT.options().dtype(at::kFloat))) {}

void NextTokenLoss::AddSlice(const model::Architecture& architecture,
                             const model::TensorMap& head, int64_t first,
                             const at::Tensor& x_BTD) {
  const int64_t all = sequences_ * rows_;
  const int64_t columns = head.at("lm_head").size(0);
  const int64_t step = std::max<int64_t>(1, kLogitsPerBlock / columns);
  const at::Tensor x_RD =
      x_BTD.slice(1, 0, rows_).reshape({all, x_BTD.size(2)});
  const at::Tensor column_R = target_R_ - first;
  const at::Tensor inside_R = (column_R >= 0).logical_and(column_R < columns);
  for (int64_t begin = 0; begin < all; begin += step) {
    const int64_t end = std::min(begin + step, all);
    const auto block = [&](const at::Tensor& of_rows) {
      return of_rows.slice(0, begin, end);
    };
    const at::Tensor logits_RV =
        architecture.Logits(head, block(x_RD).unsqueeze(0))
            .squeeze(0)
            .to(at::kFloat);
    const at::Tensor sum_R = block(log_sum_exp_R_);
    sum_R.copy_(at::logaddexp(sum_R, at::logsumexp(logits_RV, -1)));
    const at::Tensor found_R =
        logits_RV
            .gather(-1, block(column_R).clamp(0, columns - 1).unsqueeze(-1))
            .squeeze(-1);
    const at::Tensor target_R = block(target_logit_R_);
    target_R.copy_(at::where(block(inside_R), found_R, target_R));
  }
}

at::Tensor NextTokenLoss::Finish() const {
  return (log_sum_exp_R_ - target_logit_R_).view({sequences_, rows_});
}

}  // namespace sinkwatch::executor

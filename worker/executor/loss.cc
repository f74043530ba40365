#include "worker/executor/loss.h"

#include <algorithm>
#include <limits>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "worker/kernels/row_loss.h"

namespace sinkwatch::executor {
namespace {

// Logits in memory at a time: 16 MiB of float32, and, where launches cost more
// than memory, 128 MiB of bfloat16.
constexpr int64_t kLogitsPerBlock = int64_t{1} << 22;
constexpr int64_t kLogitsPerBlockOfGpu = int64_t{1} << 26;

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
  const int64_t step =
      std::max<int64_t>(1, LogitsPerBlock(x_BTD.device()) / columns);
  const at::Tensor x_RD =
      x_BTD.slice(1, 0, rows_).reshape({all, x_BTD.size(2)});
  for (int64_t begin = 0; begin < all; begin += step) {
    const int64_t end = std::min(begin + step, all);
    const auto block = [&](const at::Tensor& of_rows) {
      return of_rows.slice(0, begin, end);
    };
    const at::Tensor logits_RV =
        architecture.Logits(head, block(x_RD).unsqueeze(0)).squeeze(0);
    kernels::AddRowLoss(logits_RV, block(target_R_), first,
                        block(log_sum_exp_R_), block(target_logit_R_));
  }
}

int64_t NextTokenLoss::LogitsPerBlock(at::Device device) {
  return device.is_cpu() ? kLogitsPerBlock : kLogitsPerBlockOfGpu;
}

at::Tensor NextTokenLoss::Finish() const {
  return (log_sum_exp_R_ - target_logit_R_).view({sequences_, rows_});
}

}  // namespace sinkwatch::executor

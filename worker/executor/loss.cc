#include "worker/executor/loss.h"

#include <algorithm>

#include "ATen/TensorOperators.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/logsumexp.h"

namespace sinkwatch::executor {
namespace {

// Logits in memory at a time: 64 MiB of float32.
constexpr int64_t kLogitsPerBlock = int64_t{1} << 24;

}  // namespace

at::Tensor NextTokenLoss(const model::Architecture& architecture,
                         const model::TensorMap& head, const at::Tensor& x_BTD,
                         const at::Tensor& tokens_BT) {
  const int64_t sequences = tokens_BT.size(0), rows = tokens_BT.size(1) - 1;
  const int64_t step =
      std::max<int64_t>(1, kLogitsPerBlock / architecture.shape().vocabulary);
  // R: the rows of all sequences, one after the other.
  const at::Tensor x_RD =
      x_BTD.slice(1, 0, rows).reshape({sequences * rows, x_BTD.size(2)});
  const at::Tensor target_R1 =
      tokens_BT.slice(1, 1).reshape({sequences * rows, 1});
  at::Tensor loss_R =
      at::empty({sequences * rows}, x_RD.options().dtype(at::kFloat));
  for (int64_t begin = 0; begin < sequences * rows; begin += step) {
    const int64_t end = std::min(begin + step, sequences * rows);
    const at::Tensor logits_RV =
        architecture.Logits(head, x_RD.slice(0, begin, end).unsqueeze(0))
            .squeeze(0)
            .to(at::kFloat);
    loss_R.slice(0, begin, end)
        .copy_(
            at::logsumexp(logits_RV, -1) -
            logits_RV.gather(-1, target_R1.slice(0, begin, end)).squeeze(-1));
  }
  return loss_R.view({sequences, rows});
}

}  // namespace sinkwatch::executor

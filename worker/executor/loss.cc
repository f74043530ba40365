#include "worker/executor/loss.h"

#include <algorithm>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
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
  const int64_t rows = tokens_BT.size(1) - 1;
  const int64_t per_sequence =
      std::max<int64_t>(1, rows * architecture.shape().vocabulary);
  const int64_t step = std::max<int64_t>(1, kLogitsPerBlock / per_sequence);
  std::vector<at::Tensor> losses;
  for (int64_t begin = 0; begin < tokens_BT.size(0); begin += step) {
    const int64_t end = std::min(begin + step, tokens_BT.size(0));
    const at::Tensor logits_BTV =
        architecture.Logits(head, x_BTD.slice(0, begin, end).slice(1, 0, rows))
            .to(at::kFloat);
    const at::Tensor target_BT1 =
        tokens_BT.slice(0, begin, end).slice(1, 1).unsqueeze(-1);
    losses.push_back(at::logsumexp(logits_BTV, -1) -
                     logits_BTV.gather(-1, target_BT1).squeeze(-1));
  }
  return at::cat(losses, 0);
}

}  // namespace sinkwatch::executor

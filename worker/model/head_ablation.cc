// B sequences, T tokens, H query heads, G key/value heads, E head width, N
// chosen heads, R rows that see key 0.
#include "worker/model/head_ablation.h"

#include <algorithm>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "worker/model/layers.h"

namespace sinkwatch::model {
namespace {

int64_t RowsThatSeeTheSink(const AttentionInputs& attention) {
  const int64_t tokens = attention.q_BHTE.size(2);
  const int64_t window = attention.shape.window;
  return window > 0 ? std::min(window, tokens) : tokens;
}

// The key/value heads, or learned sinks, that `heads` use, in their order.
at::Tensor Chosen(const at::Tensor& x, int64_t dimension,
                  const std::vector<int64_t>& heads, int64_t all_heads) {
  std::vector<int64_t> places;
  for (int64_t head : heads) {
    places.push_back(head * x.size(dimension) / all_heads);
  }
  return x.index_select(dimension,
                        at::tensor(places, at::kLong).to(x.device()));
}

// Rows [1, R) of those heads, attention over the keys from 1 on: causal
// attention of the sequence that begins at 1.
at::Tensor WithoutSink(const AttentionInputs& attention,
                       const AblatedRows& ablated, int64_t rows) {
  const int64_t all_heads = attention.q_BHTE.size(1);
  const auto part = [&](const at::Tensor& x_BHTE) {
    return Chosen(x_BHTE.slice(0, ablated.begin, ablated.end).slice(2, 1, rows),
                  1, ablated.heads, all_heads);
  };
  const at::Tensor sinks_N =
      attention.learned_sinks_H.defined()
          ? Chosen(attention.learned_sinks_H, 0, ablated.heads, all_heads)
          : at::Tensor();
  const at::Tensor z_BNRE =
      CausalAttention(part(attention.q_BHTE), part(attention.k_BGTE),
                      part(attention.v_BGTE), attention.shape, sinks_N);
  if (attention.shape.kind != AttentionKind::kRelu) return z_BNRE;
  // ReLU's weights were divided by t, of the sequence that begins at 1, and
  // row t's divisor is t + 1.
  const at::Tensor t_R1 = at::arange(1, rows, z_BNRE.options()).unsqueeze(1);
  return z_BNRE * (t_R1 / (t_R1 + 1));
}

void Ablate(const AttentionInputs& attention, const AblatedRows& ablated,
            at::Tensor& z_BHTE) {
  const at::Tensor mine_BHTE = z_BHTE.slice(0, ablated.begin, ablated.end);
  const int64_t rows = RowsThatSeeTheSink(attention);
  const int64_t all_heads = z_BHTE.size(1);
  at::Tensor without_BNRE;
  if (ablated.mode == AblationMode::kNoSink && rows > 1) {
    without_BNRE = WithoutSink(attention, ablated, rows);
  }
  for (size_t n = 0; n < ablated.heads.size(); ++n) {
    const int64_t head = ablated.heads[n];
    const at::Tensor z_BTE = mine_BHTE.select(1, head);
    if (ablated.mode == AblationMode::kZero) {
      z_BTE.zero_();
    } else if (ablated.mode == AblationMode::kToSink) {
      const at::Tensor& v_BGTE = attention.v_BGTE;
      const at::Tensor v_BTE =
          v_BGTE.slice(0, ablated.begin, ablated.end)
              .select(1, head * v_BGTE.size(1) / all_heads);
      z_BTE.slice(1, 0, rows)
          .copy_(v_BTE.slice(1, 0, 1).expand(
              {v_BTE.size(0), rows, v_BTE.size(2)}));
    } else if (without_BNRE.defined()) {
      z_BTE.slice(1, 1, rows).copy_(without_BNRE.select(1, n));
    }
  }
}

}  // namespace

at::Tensor AblateHeads(const AttentionInputs& attention,
                       const at::Tensor& z_BHTE,
                       const std::vector<AblatedRows>& rows) {
  at::Tensor changed_BHTE = z_BHTE.clone();
  for (const AblatedRows& ablated : rows) {
    Ablate(attention, ablated, changed_BHTE);
  }
  return changed_BHTE;
}

at::Tensor HeadAblation::HeadOutput(const AttentionInputs& attention,
                                    const at::Tensor& z_BHTE) {
  if (attention.layer != layer_) return z_BHTE;
  return AblateHeads(attention, z_BHTE, rows_);
}

}  // namespace sinkwatch::model

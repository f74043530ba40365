#include "worker/kernels/attention_stats.h"

#include <optional>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/exp.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/relu.h"
#include "c10/core/GradMode.h"
#include "torch/library.h"
#include "worker/kernels/attention_stats_operator.h"

namespace sinkwatch::kernels {
namespace {

void CheckShapes(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE) {
  TORCH_CHECK(q_BHTE.dim() == 4 && k_BGTE.dim() == 4,
              "attention_stats: q and k must have 4 dimensions, not ",
              q_BHTE.dim(), " and ", k_BGTE.dim());
  TORCH_CHECK(q_BHTE.size(0) == k_BGTE.size(0) &&
                  q_BHTE.size(2) == k_BGTE.size(2) &&
                  q_BHTE.size(3) == k_BGTE.size(3),
              "attention_stats: q ", q_BHTE.sizes(), " and k ", k_BGTE.sizes(),
              " differ in sequences, tokens or head width");
  TORCH_CHECK(q_BHTE.numel() > 0 && k_BGTE.numel() > 0, "attention_stats: q ",
              q_BHTE.sizes(), " or k ", k_BGTE.sizes(), " is empty");
  TORCH_CHECK(q_BHTE.size(1) % k_BGTE.size(1) == 0,
              "attention_stats: ", q_BHTE.size(1), " query heads do not share ",
              k_BGTE.size(1), " key heads evenly");
}

void CheckKinds(const at::Tensor& q_BHTE, const at::Tensor& other) {
  const at::ScalarType type = q_BHTE.scalar_type();
  TORCH_CHECK(type == at::kFloat || type == at::kBFloat16,
              "attention_stats: float32 or bfloat16, not ", type);
  TORCH_CHECK(other.scalar_type() == type && other.device() == q_BHTE.device(),
              "attention_stats: q is ", type, " on ", q_BHTE.device(),
              ", k or v is ", other.scalar_type(), " on ", other.device());
}

void CheckInput(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                const at::Tensor& v_BGTE, const AttentionOptions& options) {
  CheckShapes(q_BHTE, k_BGTE);
  CheckKinds(q_BHTE, k_BGTE);
  if (v_BGTE.defined()) {
    TORCH_CHECK(v_BGTE.sizes() == k_BGTE.sizes(), "attention_stats: v ",
                v_BGTE.sizes(), " is not shaped like k ", k_BGTE.sizes());
    CheckKinds(q_BHTE, v_BGTE);
  }
  TORCH_CHECK(options.window >= 0, "attention_stats: window ", options.window);
  TORCH_CHECK(options.soft_cap >= 0, "attention_stats: soft cap ",
              options.soft_cap);
  const at::Tensor& sinks_H = options.learned_sinks_H;
  if (!sinks_H.defined()) return;
  TORCH_CHECK(options.normalisation == Normalisation::kSoftmax,
              "attention_stats: learned sinks belong to softmax");
  TORCH_CHECK(sinks_H.dim() == 1 && sinks_H.size(0) == q_BHTE.size(1) &&
                  sinks_H.is_floating_point() &&
                  sinks_H.device() == q_BHTE.device(),
              "attention_stats: ", q_BHTE.size(1), " heads on ",
              q_BHTE.device(), " have learned sinks ", sinks_H.sizes(), " ",
              sinks_H.scalar_type(), " on ", sinks_H.device());
}

std::optional<at::Tensor> Optional(const at::Tensor& x) {
  return x.defined() ? std::optional<at::Tensor>(x) : std::nullopt;
}

// The one-pass form; none where a call is not for it, or the device has none.
std::optional<OnePassResult> CallOnePass(const at::Tensor& q_BHTE,
                                         const at::Tensor& k_BGTE,
                                         const at::Tensor& v_BGTE,
                                         const AttentionOptions& options) {
  const bool fits =
      options.log_sum_exp_BHT.defined() && q_BHTE.is_cuda() &&
      q_BHTE.size(2) <= kMaxOnePass && !options.learned_sinks_H.defined() &&
      (options.window == 0 || options.window >= q_BHTE.size(2)) &&
      HasDeviceKernel(q_BHTE, v_BGTE.defined(), options.scale,
                      static_cast<int64_t>(options.normalisation));
  if (!fits) return std::nullopt;
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::attention_stats_once", "")
          .typed<OnePassSignature>();
  return op.call(q_BHTE, k_BGTE, options.log_sum_exp_BHT, options.scale);
}

OperatorResult CallOperator(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                            const at::Tensor& v_BGTE,
                            const AttentionOptions& options) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::attention_stats", "")
          .typed<decltype(AttentionStatsByRowBlocks)>();
  at::Tensor sinks_H = options.learned_sinks_H;
  if (sinks_H.defined()) sinks_H = sinks_H.to(at::kFloat).contiguous();
  const auto normalisation = static_cast<int64_t>(options.normalisation);
  if (options.soft_cap > 0) {
    return SoftCappedAttentionStats(
        q_BHTE, k_BGTE, Optional(v_BGTE), Optional(sinks_H), options.scale,
        options.window, normalisation, options.soft_cap);
  }
  const bool by_row_blocks =
      !q_BHTE.is_cpu() &&
      !HasDeviceKernel(q_BHTE, v_BGTE.defined(), options.scale, normalisation);
  if (by_row_blocks) {
    return AttentionStatsByRowBlocks(q_BHTE, k_BGTE, Optional(v_BGTE),
                                     Optional(sinks_H), options.scale,
                                     options.window, normalisation);
  }
  return op.call(q_BHTE, k_BGTE, Optional(v_BGTE), Optional(sinks_H),
                 options.scale, options.window, normalisation);
}

// q [B,H,T,E] times k [B,H,E,C] with sums in float32: products of bfloat16 are
// exact there.
at::Tensor ProductInFloat32(const at::Tensor& q, const at::Tensor& k) {
  if (!q.is_cuda() || q.scalar_type() != at::kBFloat16) {
    return at::matmul(q.to(at::kFloat), k.to(at::kFloat));
  }
  return at::bmm(q.flatten(0, 1), k.flatten(0, 1), at::kFloat)
      .unflatten(0, {q.size(0), q.size(1)});
}

// What AttentionAtColumns is asked for. Legend beside attention_stats.h: S
// query heads that share a key head, C chosen columns.
struct ChosenColumns {
  // s[t,c]: [B,H,T,C], float32.
  at::Tensor Logits() const {
    const int64_t num_tokens = q_BHTE.size(2), groups = k_BGTE.size(1);
    const int64_t shared = q_BHTE.size(1) / groups;
    const int64_t chosen = columns_BHC.size(2);
    // The keys of a group's query heads side by side: [B,G,S*C,E].
    const at::Tensor index_BGJ1 =
        columns_BHC.clamp(0, num_tokens - 1)
            .reshape({columns_BHC.size(0), groups, shared * chosen, 1});
    const at::Tensor key_BHCE =
        k_BGTE.gather(2, index_BGJ1.expand({-1, -1, -1, q_BHTE.size(3)}))
            .reshape({q_BHTE.size(0), q_BHTE.size(1), chosen, q_BHTE.size(3)});
    return SoftCapped(
        ProductInFloat32(q_BHTE, key_BHCE.transpose(-2, -1)) * scale, soft_cap);
  }

  // 0 where a row does not see the column.
  at::Tensor Visible(const at::Tensor& attention_BHTC) const {
    const at::Tensor row_T1 =
        at::arange(q_BHTE.size(2), columns_BHC.options()).unsqueeze(-1);
    const at::Tensor column_BH1C = columns_BHC.unsqueeze(2);
    at::Tensor visible = (column_BH1C >= 0) & (column_BH1C <= row_T1);
    if (window > 0) visible &= column_BH1C > row_T1 - window;
    return attention_BHTC.masked_fill(visible.logical_not(), 0);
  }

  const at::Tensor& q_BHTE;
  const at::Tensor& k_BGTE;
  const at::Tensor& columns_BHC;
  double scale;
  int64_t window;
  double soft_cap;
};

at::Tensor SoftmaxAtColumns(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                            const at::Tensor& log_sum_exp_BHT,
                            const at::Tensor& columns_BHC, double scale,
                            int64_t window, double soft_cap) {
  const ChosenColumns chosen{q_BHTE, k_BGTE, columns_BHC,
                             scale,  window, soft_cap};
  return chosen.Visible(
      at::exp(chosen.Logits() - log_sum_exp_BHT.unsqueeze(-1)));
}

}  // namespace

AttentionStats ComputeAttentionStats(const at::Tensor& q_BHTE,
                                     const at::Tensor& k_BGTE,
                                     const at::Tensor& v_BGTE,
                                     const AttentionOptions& options) {
  CheckInput(q_BHTE, k_BGTE, v_BGTE, options);
  const at::NoGradGuard no_grad;
  const bool has_value = v_BGTE.defined();
  const auto once = CallOnePass(q_BHTE, k_BGTE, v_BGTE, options);
  auto [rows, columns, output] =
      once ? OperatorResult{std::get<0>(*once), std::get<1>(*once), {}}
           : CallOperator(q_BHTE, k_BGTE, v_BGTE, options);
  AttentionStats stats;
  if (once) {
    stats.query_norm = std::get<2>(*once);
    stats.key_norm = std::get<3>(*once);
  }
  stats.log_sum_exp = rows[kLogSumExp];
  stats.sink_logit = rows[kSinkLogit];
  stats.sink_attention = rows[kSinkAttention];
  stats.rest_log_sum_exp = rows[kRestLogSumExp];
  stats.rest_mean_logit = rows[kRestMeanLogit];
  stats.previous_attention = rows[kPreviousAttention];
  stats.entropy = rows[kEntropy];
  stats.max_abs_logit = rows[kMaxAbsLogit];
  stats.row_sum = rows[kRowSum];
  stats.column_mass = std::move(columns);
  if (has_value) stats.output = std::move(output);
  return stats;
}

at::Tensor AttentionAtColumns(const at::Tensor& q_BHTE,
                              const at::Tensor& k_BGTE,
                              const AttentionStats& stats,
                              const at::Tensor& columns_BHC,
                              const AttentionOptions& options) {
  CheckInput(q_BHTE, k_BGTE, at::Tensor(), options);
  TORCH_CHECK(columns_BHC.dim() == 3 &&
                  columns_BHC.scalar_type() == at::kLong &&
                  columns_BHC.size(0) == q_BHTE.size(0) &&
                  columns_BHC.size(1) == q_BHTE.size(1),
              "AttentionAtColumns: columns must be int64 [B,H,C], not ",
              columns_BHC.scalar_type(), " ", columns_BHC.sizes());
  const at::NoGradGuard no_grad;
  const ChosenColumns chosen{q_BHTE,        k_BGTE,         columns_BHC,
                             options.scale, options.window, options.soft_cap};
  if (options.normalisation == Normalisation::kRelu) {
    const at::Tensor row_T1 =
        at::arange(q_BHTE.size(2), columns_BHC.options()).unsqueeze(-1);
    return chosen.Visible(at::relu(chosen.Logits()) / (row_T1 + 1));
  }
  // A device's own implementation has places for so much.
  constexpr int64_t kMaxColumns = 8, kWidest = 1024, kGrid = 65535;
  if (columns_BHC.size(2) > kMaxColumns || q_BHTE.size(3) > kWidest ||
      q_BHTE.size(0) > kGrid || q_BHTE.size(1) > kGrid) {
    return SoftmaxAtColumns(q_BHTE, k_BGTE, stats.log_sum_exp, columns_BHC,
                            options.scale, options.window, options.soft_cap);
  }
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::attention_at_columns", "")
          .typed<decltype(SoftmaxAtColumns)>();
  return op.call(q_BHTE, k_BGTE, stats.log_sum_exp, columns_BHC, options.scale,
                 options.window, options.soft_cap);
}

}  // namespace sinkwatch::kernels

TORCH_LIBRARY(sinkwatch, m) {
  m.def(
      "attention_stats(Tensor q, Tensor k, Tensor? v, Tensor? learned_sinks,"
      " float scale, int window, int normalisation) -> (Tensor, Tensor, "
      "Tensor)");
  m.def(
      "attention_at_columns(Tensor q, Tensor k, Tensor log_sum_exp, Tensor "
      "columns, float scale, int window, float soft_cap) -> Tensor");
  m.def(
      "attention_stats_once(Tensor q, Tensor k, Tensor log_sum_exp, float "
      "scale) -> (Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("attention_stats", sinkwatch::kernels::AttentionStatsByRowBlocks);
  m.impl("attention_at_columns", sinkwatch::kernels::SoftmaxAtColumns);
}

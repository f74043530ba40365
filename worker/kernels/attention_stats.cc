#include "worker/kernels/attention_stats.h"

#include <optional>

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/exp.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/repeat_interleave.h"
#include "ATen/ops/where.h"
#include "c10/util/Exception.h"
#include "torch/library.h"
#include "worker/kernels/attention_stats_op.h"

namespace sinkwatch::kernels {
namespace {

using Signature = AttentionStatsTuple(const at::Tensor&, const at::Tensor&,
                                      const std::optional<at::Tensor>&, double,
                                      int64_t, bool);

void CheckShapes(const at::Tensor& q, const at::Tensor& k,
                 const at::Tensor& v) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4,
              "attention_stats: q and k must be [B, heads, T, E]");
  TORCH_CHECK(q.size(0) == k.size(0) && q.size(2) == k.size(2) &&
                  q.size(3) == k.size(3),
              "attention_stats: q ", q.sizes(), " and k ", k.sizes(),
              " differ in B, T or E");
  TORCH_CHECK(k.size(1) > 0 && q.size(1) % k.size(1) == 0,
              "attention_stats: ", q.size(1),
              " query heads do not share out over ", k.size(1), " key heads");
  TORCH_CHECK(!v.defined() || v.sizes() == k.sizes(), "attention_stats: v ",
              v.defined() ? v.sizes() : k.sizes(), " is not of k's shape ",
              k.sizes());
}

}  // namespace

TORCH_LIBRARY(sinkwatch, m) {
  m.def(
      "attention_stats(Tensor q, Tensor k, Tensor? v, float scale, int window,"
      " bool relu) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,"
      " Tensor, Tensor, Tensor, Tensor)");
}

// Every device that has no implementation of its own.
TORCH_LIBRARY_IMPL(sinkwatch, CompositeExplicitAutograd, m) {
  m.impl("attention_stats", AttentionStatsBlocked);
}

AttentionStats ComputeAttentionStats(const at::Tensor& q_BHTE,
                                     const at::Tensor& k_BGTE,
                                     const at::Tensor& v_BGTE,
                                     const AttentionOptions& options) {
  CheckShapes(q_BHTE, k_BGTE, v_BGTE);
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::attention_stats", "")
          .typed<Signature>();
  const std::optional<at::Tensor> v =
      v_BGTE.defined() ? std::optional<at::Tensor>(v_BGTE) : std::nullopt;
  AttentionStats stats;
  std::tie(stats.log_sum_exp, stats.sink_logit, stats.sink_attention,
           stats.rest_log_sum_exp, stats.rest_mean_logit,
           stats.previous_attention, stats.entropy, stats.max_abs_logit,
           stats.row_sum, stats.column_mass, stats.output) =
      op.call(q_BHTE, k_BGTE, v, options.scale, options.window,
              options.normalisation == Normalisation::kRelu);
  return stats;
}

at::Tensor AttentionAtColumns(const at::Tensor& q_BHTE,
                              const at::Tensor& k_BGTE,
                              const AttentionStats& stats,
                              const at::Tensor& columns_BHC,
                              const AttentionOptions& options) {
  const int64_t heads = q_BHTE.size(1), tokens = q_BHTE.size(2);
  const at::Tensor k_BHTE =
      k_BGTE.repeat_interleave(heads / k_BGTE.size(1), 1).to(at::kFloat);
  const at::Tensor none = columns_BHC < 0;
  const at::Tensor index = columns_BHC.clamp_min(0).unsqueeze(-1).expand(
      {-1, -1, -1, q_BHTE.size(3)});
  const at::Tensor k_BHCE = k_BHTE.gather(2, index);
  const at::Tensor logits_BHTC =
      at::matmul(q_BHTE.to(at::kFloat), k_BHCE.transpose(-1, -2)) *
      options.scale;

  const at::Tensor row_T1 =
      at::arange(tokens, columns_BHC.options()).unsqueeze(1);
  const at::Tensor column_BH1C = columns_BHC.unsqueeze(2);
  at::Tensor visible =
      (column_BH1C <= row_T1) & none.logical_not().unsqueeze(2);
  if (options.window > 0) {
    visible = visible & (column_BH1C > row_T1 - options.window);
  }
  const at::Tensor weights =
      options.normalisation == Normalisation::kRelu
          ? at::relu(logits_BHTC) / (row_T1 + 1).to(at::kFloat)
          : (logits_BHTC - stats.log_sum_exp.unsqueeze(-1)).exp();
  return at::where(visible, weights, 0);
}

}  // namespace sinkwatch::kernels

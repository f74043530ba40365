// What attention looks like beside the sink. Shapes: layer_statistics.h.
#include <algorithm>
#include <cmath>

#include "ATen/ops/ones.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor Entropy(LayerStatistics& s) { return s.attention().entropy; }

// ln of how many outcomes a row has: its visible keys and, where there is one,
// the learned sink. Row 0 is given at least ln 2: nobody asks for it.
at::Tensor LogOfOutcomes(int64_t tokens, int64_t window, int64_t sinks) {
  at::Tensor log_T = at::ones({tokens}, at::kFloat);
  float* log = log_T.mutable_data_ptr<float>();
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t visible = window > 0 ? std::min(t + 1, window) : t + 1;
    const int64_t outcomes = std::max<int64_t>(visible + sinks, 2);
    log[t] = std::log(static_cast<float>(outcomes));
  }
  return log_T;
}

Quantity NormalisedEntropy(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().entropy;
  const kernels::AttentionOptions& options = s.batch().attention;
  // On a GPU, without waiting for what is under way there.
  quantity.row.over = LogOfOutcomes(quantity.row.a.size(-1), options.window,
                                    options.learned_sinks_H.defined() ? 1 : 0)
                          .to(quantity.row.a.device(), /*non_blocking=*/true)
                          .view({1, 1, -1});
  return quantity;
}

at::Tensor Previous(LayerStatistics& s) {
  return s.attention().previous_attention;
}

Quantity LargestLogit(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().max_abs_logit;
  return quantity;
}

// The learned sink's own share of the denominator keeps its digits where nearly
// nothing is lost; 1 - row_sum would not.
at::Tensor Lost(LayerStatistics& s) {
  const at::Tensor& sinks_H = s.batch().attention.learned_sinks_H;
  if (!sinks_H.defined()) return s.attention().row_sum.neg().add(1);
  return sinks_H.to(at::kFloat)
      .view({-1, 1})
      .sub(s.attention().log_sum_exp)
      .exp();
}

// One outcome has no entropy to compare with.
bool HasNormalisedEntropy(const LayerBatch& batch) {
  return IsSoftmax(batch) && (SeesPrevious(batch) || LosesMass(batch));
}

Metric RowMean(Descriptor descriptor, Plane plane,
               bool (*applies)(const LayerBatch&)) {
  Metric metric;
  metric.descriptor = std::move(descriptor);
  metric.needs = kNeedsQueryKey;
  metric.value = {Rows::kRest, plane};
  metric.by_class = true;
  metric.applies = applies;
  return metric;
}

}  // namespace

std::vector<Metric> AttentionShapeMetrics() {
  const std::string zhai = "Zhai et al., arXiv 2303.06296";
  Metric logit_max;
  logit_max.descriptor = {
      "attention_logit_max",
      "nats",
      Scope::kHead,
      "Largest absolute attention logit; growth is an early sign of "
      "divergence.",
      "max over sequences, rows t >= 0 and visible k of |s[t,k]|",
      "Dehghani et al., arXiv 2302.05442 (attention logit growth)"};
  logit_max.needs = kNeedsQueryKey;
  logit_max.reduction = Reduction::kMax;
  logit_max.value = {Rows::kWholeSequence, LargestLogit};

  return {
      RowMean({"attention_entropy", "nats", Scope::kHead,
               "Mean entropy of a query's attention: near 0 the head looks at "
               "one key.",
               "mean over t >= 1 of -sum_k A[t,k] ln A[t,k]; a learned sink is "
               "one more outcome, with the share that is lost to it",
               zhai},
              Entropy, IsSoftmax),
      RowMean({"attention_entropy_norm", "ratio", Scope::kHead,
               "Entropy relative to that of even attention over the visible "
               "keys, so that rows of different length compare.",
               "mean over t >= 1 of (-sum_k A[t,k] ln A[t,k]) / ln(number of "
               "visible keys); with a learned sink its outcome is in the sum "
               "and in the number",
               zhai},
              NormalisedEntropy, HasNormalisedEntropy),
      RowMean(
          {"prev_token_attention", "ratio", Scope::kHead,
           "Mean attention to the token just before the query.",
           "mean over t >= 1 of A[t,t-1]",
           "Guo et al., arXiv 2410.13835 (the active head of the toy task)"},
          Previous, SeesPrevious),
      logit_max,
      RowMean({"lost_mass", "ratio", Scope::kHead,
               "Attention that goes to no key; only where weights need not add "
               "up to 1 (negative if they add up to more).",
               "mean over t >= 1 of 1 - sum_k A[t,k] (learned sink c_h: "
               "exp(c_h) / (exp(c_h) + sum_k exp(s[t,k])))",
               "gpt-oss model card, arXiv 2508.10925 (learned sinks)"},
              Lost, LosesMass)};
}

}  // namespace sinkwatch::metrics

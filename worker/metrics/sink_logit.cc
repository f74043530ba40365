// What makes the attention to position 0, before the softmax saturates.
// Shapes: layer_statistics.h.
#include "ATen/ops/where.h"
#include "worker/kernels/head_norms.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor Margin(LayerStatistics& s) {
  return s.attention().sink_logit.sub(s.attention().rest_log_sum_exp);
}

at::Tensor DeltaLogit(LayerStatistics& s) {
  return s.attention().sink_logit.sub(s.attention().rest_mean_logit);
}

// q_t . k_0: the logit of column 0 is scale q.k_0 already, unless it is capped.
at::Tensor DotWithSink(LayerStatistics& s) {
  const LayerBatch& batch = s.batch();
  if (batch.attention.soft_cap == 0) {
    return s.attention().sink_logit.div(batch.attention.scale);
  }
  const int64_t shared = batch.q_BHTE.size(1) / batch.k_BGTE.size(1);
  const at::Tensor k0_BH1E =
      batch.k_BGTE.narrow(2, 0, 1).repeat_interleave(shared, /*dim=*/1);
  return batch.q_BHTE.to(at::kFloat).mul(k0_BH1E.to(at::kFloat)).sum(-1);
}

// 0 where one of the vectors is 0.
at::Tensor Cosine(LayerStatistics& s) {
  const at::Tensor& q_BHTE = s.batch().q_BHTE;
  const int64_t shared = q_BHTE.size(1) / s.batch().k_BGTE.size(1);
  const at::Tensor k0_norm_BH1 =
      s.key_norm_BGT().narrow(-1, 0, 1).repeat_interleave(shared, /*dim=*/1);
  const at::Tensor norms_BHT = kernels::HeadNorms(q_BHTE).mul(k0_norm_BH1);
  return at::where(norms_BHT.eq(0), 0.0, DotWithSink(s).div(norms_BHT));
}

}  // namespace

std::vector<Metric> SinkLogitMetrics() {
  Metric margin;
  margin.descriptor = {
      "sink_logit_margin",
      "nats",
      Scope::kHead,
      "By how much the logit of position 0 beats all other keys together; 0 is "
      "half of the attention, and it does not saturate as the share does.",
      "mean over rows t >= 1 that see key 0 of s[t,0] - logsumexp over visible "
      "k >= 1 of s[t,k] (= logit(A[t,0]) without a learned sink)",
      "identity of softmax; sink logits after Guo et al., arXiv 2410.13835",
      0.0};
  margin.needs = kNeedsQueryKey;
  margin.value = {Rows::kSeesSink, Margin};
  margin.by_class = true;
  margin.applies = IsSoftmax;

  Metric delta;
  delta.descriptor = {
      "sink_delta_logit",
      "nats",
      Scope::kHead,
      "By how much the logit of position 0 exceeds the mean logit of the keys "
      "between it and the query (the paper's delta logit, causal).",
      "mean over rows t >= 2 that see key 0 of s[t,0] - mean over visible "
      "1 <= k < t of s[t,k]",
      "Guo et al., arXiv 2410.13835"};
  delta.needs = kNeedsQueryKey;
  delta.value = {Rows::kPastSeesSink, DeltaLogit};
  delta.by_class = true;

  Metric cosine;
  cosine.descriptor = {
      "sink_qk_cosine",
      "ratio",
      Scope::kHead,
      "Mean cosine of the angle between a query and the key of position 0.",
      "mean over rows t >= 1 that see key 0 of q_t . k_0 / (|q_t| |k_0|)",
      "Gu et al., arXiv 2410.10781"};
  cosine.needs = kNeedsQueryKey | kNeedsKey;
  cosine.value = {Rows::kSeesSink, Cosine};
  cosine.by_class = true;
  return {margin, delta, cosine};
}

}  // namespace sinkwatch::metrics

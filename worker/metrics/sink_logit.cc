// What makes the attention to position 0, before the softmax saturates.
// Shapes: layer_statistics.h.
#include <string>
#include <utility>

#include "ATen/ops/quantile.h"
#include "worker/kernels/head_norms.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

Quantity Margin(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().sink_logit;
  quantity.row.minus = s.attention().rest_log_sum_exp;
  return quantity;
}

Quantity DeltaLogit(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().sink_logit;
  quantity.row.minus = s.attention().rest_mean_logit;
  return quantity;
}

// The rows of `rows` of what one term is less the other, in double: [B,H,R].
at::Tensor Differences(LayerStatistics& s, Rows rows, const at::Tensor& a_BHT,
                       const at::Tensor& minus_BHT) {
  const QueryRows range =
      QueryRowsOf(rows, s.tokens(), s.batch().attention.window);
  return a_BHT.to(at::kDouble)
      .sub(minus_BHT.to(at::kDouble))
      .narrow(-1, range.begin, range.size());
}

at::Tensor DeltaLogitSpread(LayerStatistics& s) {
  return Differences(s, Rows::kPastSeesSink, s.attention().sink_logit,
                     s.attention().rest_mean_logit)
      .std(-1, /*unbiased=*/false);
}

template <int kPercent>
at::Tensor MarginQuantile(LayerStatistics& s) {
  return at::quantile(Differences(s, Rows::kSeesSink, s.attention().sink_logit,
                                  s.attention().rest_log_sum_exp),
                      kPercent / 100.0, /*dim=*/-1);
}

bool HasPastSink(const LayerBatch& batch) {
  return QueryRowsOf(Rows::kPastSeesSink, batch.q_BHTE.size(2),
                     batch.attention.window)
             .size() > 0;
}

bool HasMargin(const LayerBatch& batch) {
  return IsSoftmax(batch) && QueryRowsOf(Rows::kSeesSink, batch.q_BHTE.size(2),
                                         batch.attention.window)
                                     .size() > 0;
}

Metric OfSequence(Descriptor descriptor, const char* cost,
                  bool (*applies)(const LayerBatch&), Plane plane) {
  Metric metric;
  metric.descriptor = std::move(descriptor);
  metric.descriptor.on_request = true;
  metric.descriptor.cost = cost;
  metric.needs = kNeedsQueryKey;
  metric.value = {Rows::kWholeSequence, plane};
  metric.applies = applies;
  return metric;
}

Metric MarginQuantileMetric(const std::string& percent, Plane plane) {
  return OfSequence(
      {"sink_logit_margin_q" + percent, "nats", Scope::kHead,
       "The margin that " + percent +
           " % of the queries stay below: where a head rests on some queries "
           "only, its quantiles lie far apart.",
       "mean over sequences of the ." + percent +
           " quantile over rows t >= 1 that see key 0 of s[t,0] - logsumexp "
           "over visible k >= 1 of s[t,k], interpolated between two rows",
       "as sink_logit_margin; claim 1 of Guo et al., arXiv 2410.13835"},
      "an order of the rows", HasMargin, plane);
}

// Of a key/value head for each of its query heads: [B,H,1].
at::Tensor ForQueryHeads(const at::Tensor& x_BG1, int64_t heads) {
  const int64_t shared = heads / x_BG1.size(1);
  return shared == 1 ? x_BG1 : x_BG1.repeat_interleave(shared, /*dim=*/1);
}

// q_t . k_0 over both lengths, 0 where one of the vectors is 0. The logit of
// column 0 is scale q.k_0 already, unless it is capped.
Quantity Cosine(LayerStatistics& s) {
  const LayerBatch& batch = s.batch();
  const int64_t heads = batch.q_BHTE.size(1);
  Quantity quantity;
  const at::Tensor& query_norm = s.attention().query_norm;
  quantity.row.over =
      query_norm.defined() ? query_norm : kernels::HeadNorms(batch.q_BHTE);
  quantity.row.over_too =
      ForQueryHeads(s.key_norm_BGT().narrow(-1, 0, 1), heads);
  if (batch.attention.soft_cap == 0) {
    quantity.row.a = s.attention().sink_logit;
    quantity.row.scale = 1 / batch.attention.scale;
    return quantity;
  }
  const at::Tensor k0_BH1E = batch.k_BGTE.narrow(2, 0, 1).repeat_interleave(
      heads / batch.k_BGTE.size(1), /*dim=*/1);
  quantity.row.a =
      batch.q_BHTE.to(at::kFloat).mul(k0_BH1E.to(at::kFloat)).sum(-1);
  return quantity;
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

  Metric spread = OfSequence(
      {"sink_delta_logit_sd", "nats", Scope::kHead,
       "How far the queries' delta logits lie apart: it shrinks as the sink "
       "logits of all tokens gather at one value.",
       "mean over sequences of the standard deviation over rows t >= 2 that "
       "see key 0 of s[t,0] - mean over visible 1 <= k < t of s[t,k]",
       "Guo et al., arXiv 2410.13835 (concentration of the sink logits)"},
      "little", HasPastSink, DeltaLogitSpread);
  return {margin,
          delta,
          cosine,
          std::move(spread),
          MarginQuantileMetric("10", MarginQuantile<10>),
          MarginQuantileMetric("90", MarginQuantile<90>)};
}

}  // namespace sinkwatch::metrics

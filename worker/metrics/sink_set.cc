// Sinks wherever they are: the columns that take most of a head's attention.
// Shapes: layer_statistics.h.
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor MassOnSet(LayerStatistics& s) {
  return kernels::AttentionAtColumns(s.batch().q_BHTE, s.batch().k_BGTE,
                                     s.attention(), s.sinks().column_BHC,
                                     s.batch().attention)
      .sum(-1);
}

at::Tensor MassAtZero(LayerStatistics& s) {
  const at::Tensor& columns_BHC = s.sinks().column_BHC;
  return kernels::AttentionAtColumns(
             s.batch().q_BHTE, s.batch().k_BGTE, s.attention(),
             columns_BHC.masked_fill(columns_BHC.ne(0), -1),
             s.batch().attention)
      .sum(-1);
}

// Of a sink the mass is more than 0.
Quantity SizeOfSet(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.sinks().mass_BHC;
  quantity.row.above = 0;
  quantity.of_rows = OfRows::kSum;
  return quantity;
}

}  // namespace

std::vector<Metric> SinkSetMetrics() {
  const std::string set =
      "K = the at most 4 largest columns k by mean over rows t >= 1 that see k "
      "of A[t,k], with a mean above 0.2 and, of such rows, at least 8 and half "
      "as many as the column that most rows see";
  const std::string source =
      "Gu et al., arXiv 2410.10781 and Guo et al., arXiv 2410.13835 (their "
      "several sinks), detected per sequence and head";
  Metric mass;
  mass.descriptor = {
      "sink_attention_set",
      "ratio",
      Scope::kHead,
      "Mean share of a query's attention that goes to the sinks detected in "
      "its sequence, at whatever positions they are.",
      "mean over rows t >= 1 of sum over k in K of A[t,k]; " + set,
      source,
      0.5};
  mass.needs = kNeedsQueryKey;
  mass.value = {Rows::kRest, MassOnSet};
  mass.by_class = true;

  Metric size;
  size.descriptor = {"sink_count",
                     "count",
                     Scope::kHead,
                     "Mean number of sinks that the head has in a sequence.",
                     "mean over sequences of |K|; " + set,
                     source};
  size.needs = kNeedsQueryKey;
  size.value = {Rows::kWholeSequence, SizeOfSet};

  Metric zero;
  zero.descriptor = {
      "sink_position_zero_share",
      "ratio",
      Scope::kHead,
      "How much of the attention on the head's sinks is on position 0: 1 where "
      "that is the sink, 0 where other tokens are; only of heads with sinks.",
      "mean over rows t >= 1 of A[t,0] if 0 is in K, divided by "
      "sink_attention_set; " +
          set,
      source};
  zero.descriptor.sparse = zero.descriptor.on_request = true;
  zero.descriptor.cost = "little";
  zero.needs = kNeedsQueryKey;
  zero.reduction = Reduction::kRatio;
  zero.value = {Rows::kRest, MassAtZero};
  zero.reference = {Rows::kRest, MassOnSet};
  zero.by_class = true;
  return {mass, size, zero};
}

}  // namespace sinkwatch::metrics

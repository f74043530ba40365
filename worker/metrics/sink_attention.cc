// How much attention goes to position 0. Shapes: layer_statistics.h.
#include "ATen/ops/where.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

// A row of unnormalised weights that are all 0 puts nothing on key 0.
at::Tensor Share(LayerStatistics& s) {
  const at::Tensor& mass_BHT = s.attention().sink_attention;
  if (IsSoftmax(s.batch())) return mass_BHT;
  const at::Tensor& sum_BHT = s.attention().row_sum;
  return at::where(sum_BHT.eq(0), mass_BHT, mass_BHT.div(sum_BHT));
}

at::Tensor Mass(LayerStatistics& s) { return s.attention().sink_attention; }

// 1 for a sequence whose mean mass over all rows is above the threshold.
template <int kPercent>
Quantity Indicator(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().sink_attention;
  quantity.of_rows = OfRows::kMeanAbove;
  quantity.bound = kPercent / 100.0;
  return quantity;
}

// 1 for a row that gives key 0 more than so many hundredths.
template <int kPercent>
Quantity RowAbove(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().sink_attention;
  quantity.row.above = kPercent / 100.0;
  return quantity;
}

Metric IndicatorMetric(const std::string& suffix, const std::string& threshold,
                       Plane plane, const std::string& source) {
  Metric metric;
  metric.descriptor = {
      "sink_indicator_" + suffix,
      "ratio",
      Scope::kHead,
      "Share of sequences in which the head counts as a sink head at the "
      "threshold " +
          threshold + ".",
      "mean over sequences of [mean over t >= 0 of A[t,0] > " + threshold + "]",
      source};
  metric.needs = kNeedsQueryKey;
  metric.value = {Rows::kWholeSequence, plane};
  metric.applies = EveryRowSeesSink;
  return metric;
}

// A point of the histogram of A[t,0]. As shares of rows they add over batches,
// shards and domains, where quantiles do not.
Metric AboveMetric(const std::string& suffix, const std::string& bound,
                   Plane plane) {
  Metric metric;
  metric.descriptor = {
      "sink_attention_above_" + suffix,
      "ratio",
      Scope::kHead,
      "Share of queries that give position 0 more than " + bound +
          " of their attention: a point of its distribution.",
      "mean over rows t >= 1 that see key 0 of [A[t,0] > " + bound + "]",
      "Guo et al., arXiv 2410.13835, claim 1, as a distribution over queries"};
  metric.descriptor.on_request = true;
  metric.descriptor.cost = "a comparison of each row";
  metric.needs = kNeedsQueryKey;
  metric.value = {Rows::kSeesSink, plane};
  metric.by_class = true;
  return metric;
}

}  // namespace

std::vector<Metric> SinkAttentionMetrics() {
  const std::string gu = "Gu et al., arXiv 2410.10781";
  Metric mass;
  mass.descriptor = {
      "sink_attention",
      "ratio",
      Scope::kHead,
      "Mean share of a query's attention that goes to position 0.",
      "mean over rows t >= 1 that see key 0 of A[t,0]; unnormalised attention: "
      "of A[t,0] / sum_k A[t,k], 0 where the sum is 0",
      "Guo et al., arXiv 2410.13835",
      0.5};
  mass.descriptor.by_sequence = true;
  mass.needs = kNeedsQueryKey;
  mass.value = {Rows::kSeesSink, Share};
  mass.by_class = true;

  Metric all_rows;
  all_rows.descriptor = {
      "sink_attention_gu",
      "ratio",
      Scope::kHead,
      "Mean attention to position 0 with row 0 included, comparable with "
      "Sink^eps at the same length; absent where a window hides key 0.",
      "mean over rows t >= 0 of A[t,0]",
      gu,
      0.3};
  all_rows.needs = kNeedsQueryKey;
  all_rows.value = {Rows::kAll, Mass};
  all_rows.by_class = true;
  all_rows.applies = EveryRowSeesSink;

  Metric dormant;
  dormant.descriptor = {
      "dormant_query_frac",
      "ratio",
      Scope::kHead,
      "Share of queries for which the head is dormant: more than half of its "
      "attention goes to position 0.",
      "mean over rows t >= 1 that see key 0 of [A[t,0] > 0.5]",
      "Guo et al., arXiv 2410.13835, claim 1, as a statistic of queries",
      0.9};
  dormant.descriptor.by_sequence = true;
  dormant.needs = kNeedsQueryKey;
  dormant.value = {Rows::kSeesSink, RowAbove<50>};
  dormant.by_class = true;

  return {mass,
          all_rows,
          IndicatorMetric("020", "0.2", Indicator<20>, gu),
          IndicatorMetric("030", "0.3", Indicator<30>, gu),
          IndicatorMetric("080", "0.8", Indicator<80>,
                          "Barbero et al., arXiv 2504.02732"),
          dormant,
          AboveMetric("001", "0.01", RowAbove<1>),
          AboveMetric("005", "0.05", RowAbove<5>),
          AboveMetric("010", "0.1", RowAbove<10>),
          AboveMetric("020", "0.2", RowAbove<20>),
          AboveMetric("030", "0.3", RowAbove<30>),
          AboveMetric("040", "0.4", RowAbove<40>),
          AboveMetric("050", "0.5", RowAbove<50>),
          AboveMetric("060", "0.6", RowAbove<60>),
          AboveMetric("070", "0.7", RowAbove<70>),
          AboveMetric("080", "0.8", RowAbove<80>),
          AboveMetric("090", "0.9", RowAbove<90>),
          AboveMetric("095", "0.95", RowAbove<95>),
          AboveMetric("099", "0.99", RowAbove<99>)};
}

}  // namespace sinkwatch::metrics

// How much a head gives out and writes. Shapes: layer_statistics.h.
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor Output(LayerStatistics& s) { return s.output_norm_BHT(); }
at::Tensor Written(LayerStatistics& s) { return s.output_write_norm_BHT(); }

// A sequence in which the whole layer is silent gives 0.
Quantity OutputOverLayer(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.output_norm_BHT();
  quantity.of_rows = OfRows::kMeanOverMeans;
  quantity.first_row = 1;
  return quantity;
}

// A row whose stream is 0 gives 0.
Quantity WrittenFraction(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.output_write_norm_BHT();
  quantity.row.over = s.residual_pre_norm_BT().unsqueeze(1);
  return quantity;
}

Quantity WrittenFromSink(LayerStatistics& s) {
  Quantity quantity;
  quantity.row.a = s.attention().sink_attention;
  quantity.row.times = s.value_write_norm_BHT().narrow(-1, 0, 1);
  return quantity;
}

// ||W_h||, by the factor that stands for it; the same of each sequence.
at::Tensor ProjectionNorm(LayerStatistics& s) {
  return s.write_factor_HRE().square().sum({1, 2}).sqrt().unsqueeze(0).expand(
      {s.batch().z_BHTE.size(0), -1});
}

bool HasSecondRow(const LayerBatch& batch) { return batch.z_BHTE.size(2) > 1; }

}  // namespace

std::vector<Metric> HeadOutputMetrics() {
  const std::string honor = "Sandoval-Segura et al., arXiv 2504.03889";
  Metric output;
  output.descriptor = {"head_output_norm",
                       "activation",
                       Scope::kHead,
                       "Mean length of the head's output before the output "
                       "projection.",
                       "mean over t >= 1 of ||z_t||",
                       honor};
  output.needs = kNeedsHeadOutput;
  output.value = {Rows::kRest, Output};
  output.by_class = true;

  Metric relative;
  relative.descriptor = {
      "head_output_norm_ln",
      "ratio",
      Scope::kHead,
      "The head's output relative to the average head of its layer (HONOR); "
      "far below 1 is an inactive head, with or without a sink.",
      "mean over sequences of n_h / (mean over heads h' of n_h'), n_h = mean "
      "over t >= 1 of ||z_t||",
      honor};
  relative.needs = kNeedsHeadOutput;
  relative.value = {Rows::kWholeSequence, OutputOverLayer};
  relative.applies = HasSecondRow;

  Metric fraction;
  fraction.descriptor = {
      "head_write_frac",
      "ratio",
      Scope::kHead,
      "Length of what the head adds to the residual stream relative to the "
      "stream itself.",
      "mean over t >= 1 of ||W_h z_t|| / ||x_t||, x the block's input",
      "Guo et al., arXiv 2410.13835, claim 1, as a statistic"};
  fraction.needs = kNeedsHeadOutput | kNeedsProjection | kNeedsResidualPre;
  fraction.value = {Rows::kRest, WrittenFraction};
  fraction.by_class = true;

  Metric share;
  share.descriptor = {
      "sink_write_share",
      "ratio",
      Scope::kHead,
      "How much of what the head writes comes from position 0: near 0 the sink "
      "is a no-op, near 1 the head broadcasts the sink's value.",
      "mean over rows t >= 1 that see key 0 of A[t,0] ||W_h v_0||, divided by "
      "the mean over the same rows of ||W_h z_t||",
      "after arXiv 2606.08105 (no-op and broadcast sinks)"};
  share.needs =
      kNeedsQueryKey | kNeedsValue | kNeedsHeadOutput | kNeedsProjection;
  share.reduction = Reduction::kRatio;
  share.value = {Rows::kSeesSink, WrittenFromSink};
  share.reference = {Rows::kSeesSink, Written};
  share.by_class = true;

  Metric projection;
  projection.descriptor = {
      "output_projection_norm",
      "activation",
      Scope::kHead,
      "Size of the matrix that the head writes through: of the weights alone, "
      "whatever the probe.",
      "Frobenius norm of W_h",
      "sanity of weights"};
  projection.descriptor.on_request = true;
  projection.descriptor.cost = "little";
  projection.needs = kNeedsHeadOutput | kNeedsProjection;
  projection.value = {Rows::kWholeSequence, ProjectionNorm};
  return {output, relative, fraction, share, projection};
}

}  // namespace sinkwatch::metrics

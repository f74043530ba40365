// What attention and MLP add to the stream. Shapes: layer_statistics.h.
#include "ATen/ops/linalg_vector_norm.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

at::Tensor NormOfRows(const at::Tensor& x_BTD) {
  return at::linalg_vector_norm(x_BTD, 2, at::IntArrayRef{-1},
                                /*keepdim=*/false, at::kFloat)
      .unsqueeze(1);
}

// Of the same width, so the ratio of lengths is that of the RMS. 0 where the
// stream is 0.
at::Tensor RatioOf(const at::Tensor& write_BTD, const at::Tensor& before_BTD) {
  const at::Tensor before_B1T = NormOfRows(before_BTD);
  return NormOfRows(write_BTD)
      .div(before_B1T.clamp_min(1e-30))
      .mul(before_B1T.gt(0));
}

at::Tensor AttentionWrite(LayerStatistics& s) {
  return NormOfRows(s.batch().attn_out_BTD);
}

at::Tensor MlpWrite(LayerStatistics& s) {
  return NormOfRows(s.batch().mlp_out_BTD);
}

at::Tensor AttentionRatio(LayerStatistics& s) {
  return RatioOf(s.batch().attn_out_BTD, s.batch().resid_pre_BTD);
}

// Beside attention, not behind it, the MLP writes on what the block reads.
at::Tensor MlpRatio(LayerStatistics& s) {
  const LayerBatch& batch = s.batch();
  return RatioOf(batch.mlp_out_BTD, batch.resid_mid_BTD.defined()
                                        ? batch.resid_mid_BTD
                                        : batch.resid_pre_BTD);
}

Metric Write(const std::string& name, const std::string& unit,
             const std::string& meaning, const std::string& formula,
             unsigned needs, Term value) {
  Metric metric;
  metric.descriptor = {name,    unit,    Scope::kLayer,
                       meaning, formula, "llm-internal-medicine"};
  metric.descriptor.on_request = true;
  metric.descriptor.cost = "one read of what the sub-layer adds";
  metric.needs = needs;
  metric.value = value;
  return metric;
}

Metric Ratio(const std::string& sublayer, const std::string& what,
             unsigned needs, Plane plane) {
  Metric metric =
      Write("write_rms_ratio_" + sublayer, "ratio",
            "How much " + what + " changes the stream, relative to it.",
            "mean over t >= 1 of RMS(what " + what +
                " adds at t) / RMS(the stream before it at t)",
            needs | kNeedsResidualPre, {Rows::kRest, plane});
  metric.by_class = true;
  return metric;
}

Metric Step(const std::string& sublayer, const std::string& what,
            unsigned needs, Plane plane) {
  Metric metric =
      Write("residual_step_" + sublayer, "activation",
            "How far " + what +
                " moves the stream at position 0: which sub-layer "
                "builds the residual peak, and which takes it away.",
            "mean over sequences of ||what " + what + " adds at 0||", needs,
            {Rows::kFirst, plane});
  metric.descriptor.source = "Guo et al., arXiv 2410.13835 (interventions)";
  return metric;
}

}  // namespace

std::vector<Metric> SublayerWriteMetrics() {
  return {Ratio("attn", "attention", kNeedsAttentionOut, AttentionRatio),
          Ratio("ffn", "the MLP", kNeedsMlpOut, MlpRatio),
          Step("attn", "attention", kNeedsAttentionOut, AttentionWrite),
          Step("ffn", "the MLP", kNeedsMlpOut, MlpWrite)};
}

}  // namespace sinkwatch::metrics

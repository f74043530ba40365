// What a gate on attention's output does to a head. Shapes: layer_statistics.h.
#include <vector>

#include "ATen/ops/linalg_vector_norm.h"
#include "worker/kernels/row_median.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

constexpr double kClosed = 0.1;

at::Tensor Mean(LayerStatistics& s) { return s.gate_BHTN().mean(-1); }

// A gate that is not finite stays so: a comparison would hide it.
at::Tensor Closed(LayerStatistics& s) {
  const at::Tensor& gate_BHTN = s.gate_BHTN();
  return gate_BHTN.lt(kClosed).to(at::kFloat).add(gate_BHTN.mul(0)).mean(-1);
}

// The gates of a sequence's rows t >= 1: [B,H,R], R of all rows and elements.
at::Tensor OfRest(LayerStatistics& s) {
  const at::Tensor& gate_BHTN = s.gate_BHTN();
  return gate_BHTN.narrow(2, 1, gate_BHTN.size(2) - 1).flatten(2);
}

at::Tensor DeviationOfSequence(LayerStatistics& s) {
  return OfRest(s).to(at::kDouble).std(-1, /*unbiased=*/false);
}

at::Tensor LeastOfSequence(LayerStatistics& s) { return OfRest(s).amin(-1); }
at::Tensor MostOfSequence(LayerStatistics& s) { return OfRest(s).amax(-1); }

at::Tensor MedianOfSequence(LayerStatistics& s) {
  const at::Tensor gate_BHR = OfRest(s);
  return kernels::RowMedian(gate_BHR.flatten(0, 1).contiguous())
      .view({gate_BHR.size(0), gate_BHR.size(1)})
      .add(gate_BHR.sum(-1).mul(0));
}

at::Tensor UngatedNorm(LayerStatistics& s) {
  return at::linalg_vector_norm(s.batch().ungated_z_BHTE, 2,
                                at::IntArrayRef{-1}, /*keepdim=*/false,
                                at::kFloat);
}

bool HasSecondRow(const LayerBatch& batch) {
  return batch.gate_BHTN.size(2) > 1;
}

Metric GateMetric(const char* name, const char* unit, const char* meaning,
                  const char* formula, Term value) {
  Metric metric;
  metric.descriptor = {name,    unit,    Scope::kHead,
                       meaning, formula, "Qiu et al., arXiv 2505.06708"};
  metric.needs = kNeedsGate;
  metric.value = value;
  metric.by_class = value.rows == Rows::kRest;
  return metric;
}

// A statistic of the gates of a sequence, on request.
Metric OfSequence(const char* name, const std::string& which, Plane plane) {
  const std::string formula = "mean over sequences of the " + which +
                              " over t >= 1 and elements of g_t";
  const std::string meaning = "The " + which + " gate of a sequence.";
  Metric metric = GateMetric(name, "ratio", meaning.c_str(), formula.c_str(),
                             {Rows::kWholeSequence, plane});
  metric.descriptor.on_request = true;
  metric.descriptor.cost = "a read of the gates";
  metric.applies = HasSecondRow;
  return metric;
}

}  // namespace

std::vector<Metric> OutputGateMetrics() {
  Metric deviation = GateMetric(
      "gate_std", "ratio",
      "How much the output gate differs between tokens and elements.",
      "mean over sequences of the standard deviation over t >= 1 and elements "
      "of g_t",
      {Rows::kWholeSequence, DeviationOfSequence});
  deviation.applies = HasSecondRow;
  return {
      GateMetric("gate_mean", "ratio",
                 "What share of the head's output its gate lets through.",
                 "mean over t >= 1 and elements of the gate g_t in [0, 1], by "
                 "which z_t is multiplied",
                 {Rows::kRest, Mean}),
      GateMetric(
          "gate_sink", "ratio", "The same of the first token, the usual sink.",
          "mean over sequences and elements of g_0", {Rows::kFirst, Mean}),
      GateMetric(
          "gate_closed_frac", "ratio",
          "How sparse the output gate is: the share of it that lets next "
          "to nothing through.",
          "mean over t >= 1 and elements of [g_t < 0.1]",
          {Rows::kRest, Closed}),
      deviation,
      GateMetric("head_output_norm_ungated", "activation",
                 "Mean length of the head's output before its gate; "
                 "head_output_norm is behind it.",
                 "mean over t >= 1 of ||(A v)_t||", {Rows::kRest, UngatedNorm}),
      OfSequence("gate_min", "least", LeastOfSequence),
      OfSequence("gate_median", "median", MedianOfSequence),
      OfSequence("gate_max", "largest", MostOfSequence),
  };
}

}  // namespace sinkwatch::metrics

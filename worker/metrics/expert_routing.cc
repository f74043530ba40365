// How a mixture shares its tokens out to experts. Shapes: layer_statistics.h; X
// experts, K chosen for each token.
#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/ops/one_hot.h"
#include "ATen/ops/topk.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

// Of the router's scores, as shares: sigmoids do not add up to 1.
at::Tensor Shares(LayerStatistics& s) {
  const at::Tensor& score_BTX = s.batch().router_BTX;
  return score_BTX.div(score_BTX.sum(-1, /*keepdim=*/true)).transpose(1, 2);
}

// 1 / K of a token for each expert that it goes to.
at::Tensor Loads(LayerStatistics& s) {
  const at::Tensor& experts_BTK = s.batch().experts_BTK;
  return at::one_hot(experts_BTK, s.batch().router_BTX.size(2))
      .sum(2)
      .to(at::kFloat)
      .div(static_cast<double>(experts_BTK.size(2)))
      .transpose(1, 2);
}

// Between the `rank`-th largest share and the next, from 1.
at::Tensor MarginBehind(LayerStatistics& s, int64_t rank) {
  const at::Tensor most_BRT =
      std::get<0>(at::topk(Shares(s), rank + 1, /*dim=*/1));
  return most_BRT.narrow(1, rank - 1, 1).sub(most_BRT.narrow(1, rank, 1));
}

at::Tensor Margin(LayerStatistics& s) { return MarginBehind(s, 1); }
at::Tensor MarginAtCut(LayerStatistics& s) {
  return MarginBehind(s, s.batch().experts_BTK.size(2));
}

bool LeavesSomeOut(const LayerBatch& batch) {
  return batch.experts_BTK.size(2) < batch.router_BTX.size(2);
}
bool HasTwoExperts(const LayerBatch& batch) {
  return batch.router_BTX.size(2) > 1;
}

double Entropy(const std::vector<double>& p) {
  double entropy = 0;
  for (double x : p) entropy -= x > 0 ? x * std::log(x) : 0 * x;
  return entropy;
}

double EntropyNorm(const std::vector<double>& p) {
  return Entropy(p) / std::log(static_cast<double>(p.size()));
}

double EffectiveExperts(const std::vector<double>& p) {
  return std::exp(Entropy(p));
}

double LoadSpread(const std::vector<double>& loads) {
  const double count = static_cast<double>(loads.size());
  double sum = 0, squares = 0;
  for (double load : loads) {
    sum += load;
    squares += load * load;
  }
  const double mean = sum / count;
  return std::sqrt(std::max(0.0, squares / count - mean * mean)) / mean;
}

double MostLoad(const std::vector<double>& loads) {
  return *std::max_element(loads.begin(), loads.end());
}

double DeadExperts(const std::vector<double>& loads) {
  const double least = 0.1 / static_cast<double>(loads.size());
  return static_cast<double>(std::count_if(
      loads.begin(), loads.end(), [&](double load) { return load < least; }));
}

Metric OfExperts(const std::string& name, const std::string& unit,
                 const std::string& meaning, const std::string& formula,
                 Plane plane) {
  Metric metric;
  metric.descriptor = {
      name,    unit,    Scope::kLayer,
      meaning, formula, "llm-internal-medicine (health of mixtures)"};
  metric.descriptor.on_request = true;
  metric.descriptor.cost = "a read of the router's scores";
  metric.needs = kNeedsRouter;
  metric.value = {Rows::kAll, plane};
  metric.by_class = true;
  metric.applies = HasTwoExperts;
  return metric;
}

}  // namespace

std::vector<Metric> ExpertRoutingMetrics() {
  Metric entropy = OfExperts(
      "router_entropy_norm", "ratio",
      "How evenly the router spreads its scores over the experts: 1 if all get "
      "the same.",
      "H(p) / ln X, H(p) = -sum_x p_x ln p_x, p the mean over tokens of the "
      "router's scores, which are made to add up to 1, over X experts",
      Shares);
  entropy.of_means = EntropyNorm;
  Metric effective = OfExperts(
      "effective_experts", "count",
      "As many experts as an even router would use to be as spread out.",
      "exp H(p), as router_entropy_norm", Shares);
  effective.of_means = EffectiveExperts;
  Metric spread = OfExperts(
      "expert_load_cv", "ratio",
      "How unevenly tokens are shared out: 0 if every expert gets as many.",
      "standard deviation over mean of f_x, f_x the share of all choices that "
      "fall on expert x",
      Loads);
  spread.of_means = LoadSpread;
  Metric most = OfExperts("expert_max_share", "ratio",
                          "Share of the choices that fall on the expert with "
                          "most of them.",
                          "max_x f_x, as expert_load_cv", Loads);
  most.of_means = MostLoad;
  Metric dead = OfExperts("dead_experts", "count",
                          "Experts that hardly any token goes to.",
                          "#{x : f_x < 1 / (10 X)}, as expert_load_cv", Loads);
  dead.of_means = DeadExperts;
  Metric margin = OfExperts(
      "router_margin", "ratio",
      "How clearly the router prefers its first expert.",
      "mean over tokens of the largest share of its scores minus the second",
      Margin);
  Metric cut = OfExperts(
      "router_margin_cut", "ratio",
      "How clearly the last chosen expert stands above the first that is not.",
      "mean over tokens of the K-th largest share of its scores minus the "
      "next, "
      "K experts chosen",
      MarginAtCut);
  cut.applies = LeavesSomeOut;
  return {entropy, effective, spread, most, dead, margin, cut};
}

}  // namespace sinkwatch::metrics

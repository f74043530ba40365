#include "worker/metrics/model_scalars.h"

#include <algorithm>
#include <utility>

namespace sinkwatch::metrics {
namespace {

const MetricVector* Find(const std::vector<MetricVector>& vectors,
                         const std::string& domain, const std::string& metric) {
  for (const MetricVector& vector : vectors) {
    if (vector.domain == domain && vector.metric == metric) return &vector;
  }
  return nullptr;
}

bool Meets(const HeadCondition& condition, float value) {
  return condition.below ? value <= condition.bound : value >= condition.bound;
}

MetricVector VectorOf(const std::string& domain, const ModelMetric& metric,
                      const Estimate& estimate, int64_t count) {
  MetricVector vector;
  vector.domain = domain;
  vector.metric = metric.descriptor.name;
  vector.values = {static_cast<float>(estimate.value)};
  vector.standard_error = {static_cast<float>(estimate.standard_error)};
  vector.count = count;
  return vector;
}

}  // namespace

const std::vector<ModelMetric>& ModelMetrics() {
  static const auto& metrics = *new std::vector<ModelMetric>{
      {{kProbeLoss, "nats", Scope::kModel,
        "Mean next-token cross-entropy on the probe: whether the model is the "
        "one it should be, and how good it is.",
        "mean over rows t >= 0 that have a next token of -ln p(token t+1 | "
        "tokens <= t)",
        "definition of the language-model loss"}},
      {{"sink_rate_030", "ratio", Scope::kModel,
        "Share of heads that are sink heads at the threshold 0.3 (Sink^eps).",
        "mean over layers and heads of sink_indicator_030",
        "Gu et al., arXiv 2410.10781", 0.3},
       "sink_indicator_030"},
      {{"dormant_head_frac", "ratio", Scope::kModel,
        "Share of heads that are dormant on this domain: nearly all queries on "
        "the sink, and the sink's value drained.",
        "share of (layer, head) with dormant_query_frac >= 0.9 and "
        "value_norm_ratio <= 0.5",
        "Guo et al., arXiv 2410.13835, claim 1, as a statistic of heads"},
       "",
       {{"dormant_query_frac", 0.9f},
        {"value_norm_ratio", 0.5f, /*below=*/true}}},
  };
  return metrics;
}

std::vector<std::string> MetricsBehind(const std::string& model_metric) {
  std::vector<std::string> behind;
  for (const ModelMetric& metric : ModelMetrics()) {
    if (metric.descriptor.name != model_metric) continue;
    if (!metric.mean_of.empty()) behind.push_back(metric.mean_of);
    for (const HeadCondition& condition : metric.share_of) {
      behind.push_back(condition.metric);
    }
  }
  return behind;
}

bool ModelScalars::WantsSequences(const std::string& metric) {
  return std::any_of(
      ModelMetrics().begin(), ModelMetrics().end(),
      [&](const ModelMetric& model) { return model.mean_of == metric; });
}

void ModelScalars::AddSequence(const std::string& metric, int layer, double sum,
                               int64_t heads) {
  Sequences& sequences = sequences_[metric];
  const size_t sequence = sequences.next[layer]++;
  if (sequence == sequences.all.size()) sequences.all.emplace_back();
  sequences.all[sequence].sum += sum;
  sequences.all[sequence].heads += static_cast<double>(heads);
}

void ModelScalars::AddLayer(const std::vector<MetricVector>& vectors,
                            const std::string& label) {
  for (const ModelMetric& metric : ModelMetrics()) {
    std::vector<const MetricVector*> found;
    for (const HeadCondition& condition : metric.share_of) {
      found.push_back(Find(vectors, label, condition.metric));
    }
    if (found.empty() || std::count(found.begin(), found.end(), nullptr) > 0) {
      continue;
    }
    Share& share = shares_[metric.descriptor.name];
    for (size_t h = 0; h < found[0]->values.size(); ++h) {
      bool meets = true;
      for (size_t i = 0; i < found.size(); ++i) {
        meets = meets && Meets(metric.share_of[i], found[i]->values[h]);
      }
      ++share.heads;
      share.met += meets;
    }
  }
}

void ModelScalars::AppendLoss(const ModelMetric& metric,
                              const std::vector<std::string>& labels,
                              std::vector<MetricVector>& vectors) const {
  for (int64_t group = 0; group < loss_.groups(); ++group) {
    if (const auto loss = loss_.Finish(group)) {
      vectors.push_back(
          VectorOf(labels[group], metric, *loss, loss_.count(group)));
    }
  }
}

void ModelScalars::AppendMean(const ModelMetric& metric,
                              const std::string& label,
                              std::vector<MetricVector>& vectors) const {
  const auto found = sequences_.find(metric.mean_of);
  if (found == sequences_.end()) return;
  const std::vector<Sequence>& sequences = found->second.all;
  Accumulator mean(Reduction::kMean, 1);
  for (const Sequence& sequence : sequences) {
    mean.Add(0, {sequence.sum, sequence.heads});
  }
  if (const auto estimate = mean.Finish(0)) {
    vectors.push_back(VectorOf(label, metric, *estimate,
                               static_cast<int64_t>(sequences.size())));
  }
}

void ModelScalars::AppendShare(const ModelMetric& metric,
                               const std::string& label,
                               std::vector<MetricVector>& vectors) const {
  const auto found = shares_.find(metric.descriptor.name);
  if (found == shares_.end() || found->second.heads == 0) return;
  const auto& [heads, met] = found->second;
  Estimate estimate;
  estimate.value = static_cast<double>(met) / static_cast<double>(heads);
  vectors.push_back(VectorOf(label, metric, estimate, heads));
}

std::vector<MetricVector> ModelScalars::Finish(
    const std::vector<std::string>& labels) const {
  std::vector<MetricVector> vectors;
  for (const ModelMetric& metric : ModelMetrics()) {
    if (!metric.mean_of.empty()) {
      AppendMean(metric, labels[0], vectors);
    } else if (!metric.share_of.empty()) {
      AppendShare(metric, labels[0], vectors);
    } else {
      AppendLoss(metric, labels, vectors);
    }
  }
  return vectors;
}

}  // namespace sinkwatch::metrics

#include "worker/metrics/model_scalars.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/TensorOperators.h"

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

// sd / mean.
double Spread(double sum, double squares, int64_t count) {
  const double mean = sum / static_cast<double>(count);
  const double variance = squares / static_cast<double>(count) - mean * mean;
  return std::sqrt(std::max(variance, 0.0)) / mean;
}

// The losses at those tokens: row t predicts token t + 1. Undefined where
// sequences do not reach so far.
at::Tensor LossAtTokens(const at::Tensor& loss_BR, const TokensAt& tokens) {
  const int64_t rows = loss_BR.size(1);
  const int64_t begin = tokens.first - 1;
  const int64_t end = std::min(tokens.last, rows);
  if (begin >= end || tokens.minus > rows) return {};
  const at::Tensor some_BR = loss_BR.slice(1, begin, end);
  if (tokens.minus == 0) return some_BR;
  return some_BR - loss_BR.slice(1, tokens.minus - 1, tokens.minus);
}

}  // namespace

std::vector<std::string> MetricsBehind(const std::string& model_metric) {
  std::vector<std::string> behind;
  for (const ModelMetric& metric : ModelMetrics()) {
    if (metric.descriptor.name != model_metric) continue;
    if (!metric.mean_of.empty()) behind.push_back(metric.mean_of);
    for (const HeadCondition& condition : metric.heads) {
      behind.push_back(condition.metric);
    }
  }
  return behind;
}

ModelScalars::ModelScalars(int64_t classes,
                           const std::vector<std::string>& wanted)
    : loss_(classes) {
  for (const ModelMetric& metric : ModelMetrics()) {
    if (metric.tokens &&
        std::count(wanted.begin(), wanted.end(), metric.descriptor.name) > 0) {
      loss_at_.push_back({&metric, RowMeans(classes)});
    }
  }
}

void ModelScalars::FoldLoss(const at::Tensor& loss_BR,
                            const at::Tensor& row_classes_BT) {
  loss_.Fold(loss_BR, row_classes_BT);
  for (LossAt& at : loss_at_) {
    const TokensAt& tokens = *at.metric->tokens;
    const at::Tensor some_BR = LossAtTokens(loss_BR, tokens);
    if (!some_BR.defined()) continue;
    at.mean.Fold(some_BR, row_classes_BT.defined()
                              ? row_classes_BT.slice(1, tokens.first - 1)
                              : row_classes_BT);
  }
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

void ModelScalars::AddHeads(const ModelMetric& metric,
                            const std::vector<const MetricVector*>& conditions,
                            Heads& heads) {
  bool any = false;
  for (size_t h = 0; h < conditions[0]->values.size(); ++h) {
    bool meets = true;
    for (size_t i = 0; i < conditions.size(); ++i) {
      meets = meets && Meets(metric.heads[i], conditions[i]->values[h]);
    }
    any = any || meets;
    ++heads.heads;
    heads.met += meets;
    const double load = 1 - static_cast<double>(conditions[0]->values[h]);
    heads.sum += load;
    heads.squares += load * load;
  }
  if (any && heads.floor < 0) heads.floor = heads.layers;
  ++heads.layers;
  PlaceLayer(conditions, any, heads);
}

void ModelScalars::PlaceLayer(
    const std::vector<const MetricVector*>& conditions, bool meets,
    Heads& heads) {
  const int layer = conditions[0]->layer.value_or(0);
  if (meets) {
    heads.first = std::min(heads.first.value_or(layer), layer);
    heads.last = std::max(heads.last.value_or(layer), layer);
  }
  for (size_t i = 0; i < conditions[0]->values.size(); ++i) {
    const double value = conditions[0]->values[i];
    if (!heads.most || value > *heads.most) {
      heads.most = value;
      heads.peak = layer;
    }
    if (conditions.size() < 2) continue;
    const double excess = value - conditions[1]->values[i];
    heads.excess = std::max(heads.excess.value_or(excess), excess);
  }
}

void ModelScalars::AddLayer(const std::vector<MetricVector>& vectors,
                            const std::string& label) {
  for (const ModelMetric& metric : ModelMetrics()) {
    std::vector<const MetricVector*> found;
    for (const HeadCondition& condition : metric.heads) {
      found.push_back(Find(vectors, label, condition.metric));
    }
    if (found.empty() || std::count(found.begin(), found.end(), nullptr) > 0) {
      continue;
    }
    AddHeads(metric, found, heads_[metric.descriptor.name]);
  }
}

void ModelScalars::AppendLoss(const ModelMetric& metric, const RowMeans& loss,
                              const std::vector<std::string>& labels,
                              std::vector<MetricVector>& vectors) {
  for (int64_t group = 0; group < loss.groups(); ++group) {
    auto mean = loss.Finish(group);
    if (!mean) continue;
    if (metric.exponential) {
      mean->value = std::exp(mean->value);
      mean->standard_error *= mean->value;
      if (!std::isfinite(static_cast<float>(mean->value))) continue;
    }
    vectors.push_back(
        VectorOf(labels[group], metric, *mean, loss.count(group)));
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

std::optional<double> ModelScalars::ValueOf(const ModelMetric& metric,
                                            const Heads& heads) {
  switch (metric.of_heads) {
    case OfHeads::kShare:
      return static_cast<double>(heads.met) / static_cast<double>(heads.heads);
    case OfHeads::kCount:
      return static_cast<double>(heads.met);
    case OfHeads::kFloor:
      return static_cast<double>(heads.floor < 0 ? heads.layers : heads.floor);
    case OfHeads::kSpread:
      if (heads.sum == 0) return std::nullopt;
      return Spread(heads.sum, heads.squares, heads.heads);
    case OfHeads::kPeak:
      return heads.peak;
    case OfHeads::kFirst:
      return heads.first;
    case OfHeads::kLast:
      return heads.last;
    case OfHeads::kExcess:
      return heads.excess;
  }
  return std::nullopt;
}

void ModelScalars::AppendHeads(const ModelMetric& metric,
                               const std::string& label,
                               std::vector<MetricVector>& vectors) const {
  const auto found = heads_.find(metric.descriptor.name);
  if (found == heads_.end() || found->second.heads == 0) return;
  const std::optional<double> value = ValueOf(metric, found->second);
  if (!value) return;
  Estimate estimate;
  estimate.value = *value;
  vectors.push_back(VectorOf(label, metric, estimate, found->second.heads));
}

std::vector<MetricVector> ModelScalars::Finish(
    const std::vector<std::string>& labels) const {
  std::vector<MetricVector> vectors;
  for (const ModelMetric& metric : ModelMetrics()) {
    if (metric.tokens) continue;
    if (!metric.mean_of.empty()) {
      AppendMean(metric, labels[0], vectors);
    } else if (!metric.heads.empty()) {
      AppendHeads(metric, labels[0], vectors);
    } else {
      AppendLoss(metric, loss_, labels, vectors);
    }
  }
  for (const LossAt& at : loss_at_) {
    AppendLoss(*at.metric, at.mean, labels, vectors);
  }
  return vectors;
}

}  // namespace sinkwatch::metrics

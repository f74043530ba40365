#ifndef SINKWATCH_WORKER_METRICS_METRIC_VECTOR_H_
#define SINKWATCH_WORKER_METRICS_METRIC_VECTOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/base/version.h"

namespace sinkwatch::metrics {

using base::kSpecVersion;

// The metric that is measured whatever else is asked for: the values are judged
// by it.
inline constexpr char kProbeLoss[] = "probe_loss";

// What a metric has one value per.
enum class Scope { kHead, kKvHead, kLayer, kModel };

// The written definition of a metric; travels with its values.
struct Descriptor {
  std::string name;
  std::string unit;  // "ratio", "nats", "activation", "count", ...
  Scope scope = Scope::kHead;
  std::string meaning;  // one sentence
  std::string formula;
  std::string source;  // paper or code it comes from
  // The value that tells its emergence, unless somebody names another: at or
  // above it, or with `below` at or below it. None: the metric has no such
  // value. README.md says where each comes from.
  std::optional<double> threshold = std::nullopt;
  bool below = false;
};

// One metric of one layer in one domain.
struct MetricVector {
  std::string domain;  // "label", or "label/class" for a class of rows
  std::string metric;
  std::optional<int> layer;   // none for model scope; -1: embedding
  std::vector<float> values;  // H, G or 1 by scope
  // Over sequences; as many as values, NaN where it cannot be told.
  std::vector<float> standard_error;
  int64_t count = 0;  // rows or sequences behind each value
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_METRIC_VECTOR_H_

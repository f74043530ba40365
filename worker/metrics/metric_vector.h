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

// Stands in a list of metrics for those that an empty list means.
inline constexpr char kDefaultMetrics[] = "default";

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
  // Of some heads and layers only: NaN of a head that was not measured.
  bool sparse = false;
  // Not among the metrics that an empty list of names means.
  bool on_request = false;
  // What it costs beside the others, for a person; empty: little.
  std::string cost = {};
  // Its vectors carry the value of each sequence too. Of means only.
  bool by_sequence = false;
};

// A domain of the probe.
struct Domain {
  std::string label;
  std::vector<std::string> classes;  // names of the row classes, may be empty

  // What values of a group of rows are of: group 0 is all rows, group 1 + c
  // those of class c.
  std::string Group(int64_t group) const {
    return group == 0 ? label : label + "/" + classes.at(group - 1);
  }
};

// A token that heads of a layer take for a sink (sink_set.cc says when), at
// position 0 or elsewhere.
struct SinkToken {
  std::string domain;
  int layer = 0;
  int64_t token = 0;  // its id
  bool at_zero = false;
  // Mean over heads and sequences of the mean attention that it gets as a sink,
  // 0 where it is none.
  double mass = 0;
  double head_share = 0;      // heads that take it for one in some sequence
  double sequence_share = 0;  // sequences in which some head does
};

// A dimension of a layer's stream with massive activations, as massive_count
// counts them.
struct MassiveDimension {
  std::string domain;
  int layer = 0;
  int64_t dimension = 0;
  int64_t position = 0;       // of the largest of them
  double value = 0;           // and its signed value
  double sequence_share = 0;  // sequences in which there is one
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
  // Of a metric that is by_sequence: what each sequence alone gives, in the
  // probe's order, all sequences of values[0] first; NaN where a sequence has
  // no such rows.
  std::vector<float> sequence_values;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_METRIC_VECTOR_H_

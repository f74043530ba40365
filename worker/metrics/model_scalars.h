#ifndef SINKWATCH_WORKER_METRICS_MODEL_SCALARS_H_
#define SINKWATCH_WORKER_METRICS_MODEL_SCALARS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// Metrics of model scope, and what they need of layers.
std::vector<Descriptor> ModelDescriptors();

// Names of the layer metrics that a model metric is made of; empty for others.
std::vector<std::string> LayerMetricsBehind(const std::string& model_metric);

// The values of model scope of one domain, folded from losses, from each
// sequence's indicators and from finished layers.
//
// Thread-compatible.
class ModelScalars {
 public:
  // `groups`: 1 + number of row classes.
  explicit ModelScalars(int64_t groups);

  // groups_BTC: batch_sums.h, over the rows of loss_BT.
  void FoldLoss(const at::Tensor& loss_BT, const at::Tensor& groups_BTC);

  // The next sequence of a layer: in how many of how many heads it indicates a
  // sink (sink_indicator_030). Sequences come in the same order in each layer.
  void AddIndicators(int layer, double sinks, int64_t heads);

  // A finished layer's values, one per head.
  void AddHeads(const std::vector<float>& dormant_query_frac,
                const std::vector<float>& value_norm_ratio);

  struct Value {
    std::string metric;
    int64_t group = 0;
    Estimate estimate;
    int64_t count = 0;
  };
  // What the domain has; a loss that is not finite as it is.
  std::vector<Value> Finish() const;

 private:
  struct Indicators {
    double sinks = 0;
    double heads = 0;
  };

  std::vector<Accumulator> loss_;        // one per group
  std::vector<Indicators> indicators_;   // one per sequence, over layers
  std::map<int, size_t> next_sequence_;  // by layer
  int64_t heads_ = 0;
  int64_t dormant_heads_ = 0;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MODEL_SCALARS_H_

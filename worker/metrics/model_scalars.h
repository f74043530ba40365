#ifndef SINKWATCH_WORKER_METRICS_MODEL_SCALARS_H_
#define SINKWATCH_WORKER_METRICS_MODEL_SCALARS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/metric_vector.h"
#include "worker/metrics/row_means.h"

namespace sinkwatch::metrics {

// What a head's or layer's value of a metric must be: at least `bound`, or with
// `below` at most.
struct HeadCondition {
  std::string metric;
  float bound = 0;
  bool below = false;
};

// What is told of the heads of all layers, or of the layers.
enum class OfHeads {
  kShare,   // the share that meets every condition
  kCount,   // the number that does
  kFloor,   // the layers with heads below the first in which one does; all of
            // them where none does
  kSpread,  // standard deviation over mean of 1 - the first condition's metric
  kPeak,    // the layer with the largest value of the first condition's metric
  kFirst,   // the first layer in which one meets every condition, if any does
  kLast,    // the last one
  kExcess,  // the largest difference of the two conditions' metrics
};

// Predicted tokens of a sequence, whose first is number 0 and is not predicted.
struct TokensAt {
  int64_t first = 0;
  int64_t last = 0;
  // Not 0: the loss at this one is taken off.
  int64_t minus = 0;
};

// A metric of model scope, as data: what it means, and what it is made of,
// which is one of these; none: the next-token loss.
struct ModelMetric {
  Descriptor descriptor;
  // The mean over layers and heads of this metric of heads, which has one
  // number per sequence.
  std::string mean_of = {};
  // Conditions on a head or layer, and what is made of them.
  std::vector<HeadCondition> heads = {};
  OfHeads of_heads = OfHeads::kShare;
  // The loss at some tokens only.
  std::optional<TokensAt> tokens = std::nullopt;
  // e to the loss; absent where that is not finite.
  bool exponential = false;
};
const std::vector<ModelMetric>& ModelMetrics();

// Names of the metrics of heads that a model metric is made of; empty for
// others.
std::vector<std::string> MetricsBehind(const std::string& model_metric);

// The values of model scope of one domain, folded from losses, from each
// sequence's numbers and from finished layers.
//
// Thread-compatible.
class ModelScalars {
 public:
  // `wanted`: names of metrics; of others the loss at some tokens is not
  // folded.
  ModelScalars(int64_t classes, const std::vector<std::string>& wanted);

  // As RowMeans::Fold.
  void FoldLoss(const at::Tensor& loss_BR, const at::Tensor& row_classes_BT);

  // Whether AddSequence has a use for a metric of heads.
  static bool WantsSequences(const std::string& metric);
  // The next sequence of a layer: its sum of `metric` over so many heads.
  // Sequences come in the same order in each layer.
  void AddSequence(const std::string& metric, int layer, double sum,
                   int64_t heads);

  // The vectors of a finished layer; those of `label` are of this domain.
  void AddLayer(const std::vector<MetricVector>& vectors,
                const std::string& label);

  // What the domain has, in the order of ModelMetrics, where the vectors'
  // domain is `labels[group]`; a loss that is not finite as it is.
  std::vector<MetricVector> Finish(
      const std::vector<std::string>& labels) const;

 private:
  // Sums over layers of one sequence.
  struct Sequence {
    double sum = 0;
    double heads = 0;
  };
  struct Sequences {
    std::vector<Sequence> all;
    std::map<int, size_t> next;  // by layer
  };
  struct Heads {
    int64_t heads = 0;
    int64_t met = 0;
    int64_t layers = 0;
    int64_t floor = -1;  // layers below the first with a head that meets it
    double sum = 0;      // of 1 - the first condition's metric
    double squares = 0;
    std::optional<int> first, last;  // layers with a head that meets it
    std::optional<double> most;      // of the first condition's metric
    int peak = 0;                    // the layer of it
    std::optional<double> excess;
  };
  struct LossAt {
    const ModelMetric* metric;
    RowMeans mean;
  };

  static void AddHeads(const ModelMetric& metric,
                       const std::vector<const MetricVector*>& conditions,
                       Heads& heads);
  // The same of where the layer stands among the others.
  static void PlaceLayer(const std::vector<const MetricVector*>& conditions,
                         bool meets, Heads& heads);
  // What the metric has of them; nothing where it is not defined.
  static std::optional<double> ValueOf(const ModelMetric& metric,
                                       const Heads& heads);

  static void AppendLoss(const ModelMetric& metric, const RowMeans& loss,
                         const std::vector<std::string>& labels,
                         std::vector<MetricVector>& vectors);
  void AppendMean(const ModelMetric& metric, const std::string& label,
                  std::vector<MetricVector>& vectors) const;
  void AppendHeads(const ModelMetric& metric, const std::string& label,
                   std::vector<MetricVector>& vectors) const;

  RowMeans loss_;
  std::vector<LossAt> loss_at_;
  std::map<std::string, Sequences> sequences_;  // by ModelMetric::mean_of
  std::map<std::string, Heads> heads_;          // by the model metric's name
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MODEL_SCALARS_H_

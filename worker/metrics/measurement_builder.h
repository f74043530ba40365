#ifndef SINKWATCH_WORKER_METRICS_MEASUREMENT_BUILDER_H_
#define SINKWATCH_WORKER_METRICS_MEASUREMENT_BUILDER_H_

#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/metrics/layer_batch.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// What the measurement must know beforehand.
struct MeasurementOptions {
  // Names; empty means "default": all but those on request, which must be
  // named. kProbeLoss is always computed.
  std::vector<std::string> metrics;
  std::vector<Domain> domains;
  // Whether metrics that are by_sequence give the values of sequences.
  bool sequence_values = true;
};

// Whether so many values of sequences are few enough for one message and one
// measurement. `sequences`: of all domains, each once for the domain and once
// for each of its classes.
bool FewSequenceValues(int64_t metrics, int64_t layers, int64_t heads,
                       int64_t sequences);

// The metrics (base::kSpecVersion), folded batch by batch: each metric declares
// what it needs and keeps per-sequence sums in double, so neither memory nor
// result depends on how a domain is cut into batches (beyond rounding of
// doubles). Metrics that need the same statistic share one computation.
//
// Thread-compatible.
class MeasurementBuilder {
 public:
  // INVALID_ARGUMENT names an unknown metric and lists the known ones.
  static absl::StatusOr<std::unique_ptr<MeasurementBuilder>> Create(
      const MeasurementOptions& options);
  ~MeasurementBuilder();

  // Needs, or-ed, of what is computed: tensors that cost something to keep need
  // not be in a LayerBatch otherwise.
  unsigned needs() const;

  // Adds a batch to its layer. Tensors that do not fit each other throw
  // c10::Error. The sequences of a domain come in the same order in each layer.
  void FoldLayer(const LayerBatch& batch);

  // Adds a batch's next-token cross-entropies: loss_BT [B, T-1], entry t is the
  // loss of predicting token t + 1 from row t.
  void FoldLoss(int domain, const at::Tensor& loss_BT,
                const at::Tensor& row_classes_BT);

  // The values of a layer, once all its batches are in, for every domain and
  // class; frees what the layer held. May come after the first batches of the
  // next layer, so that a GPU has work while this is told. DATA_LOSS if a value
  // is not finite, naming layer, metric and domain.
  absl::StatusOr<std::vector<MetricVector>> FinishLayer(int layer);

  // Where sink_count is measured and tokens are known: which tokens the sinks
  // are, at most SinkIdentity::kMax of a layer and domain, the heaviest first.
  std::vector<SinkToken> Sinks() const;

  // Where massive_count is measured: in which dimensions the stream is massive,
  // at most MassiveDimensions::kMax of a layer and domain, the largest first.
  std::vector<MassiveDimension> Massive() const;

  // Values of model scope, after all layers. A loss that is not finite is
  // reported as it is.
  absl::StatusOr<std::vector<MetricVector>> FinishModel();

 private:
  struct State;
  explicit MeasurementBuilder(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// Definitions of all metrics: the registry's table, those of model scope, then
// those of side runs, which no builder measures.
const std::vector<Descriptor>& AllDescriptors();

// Of those that a measurement of these metrics (MeasurementOptions') gives.
std::vector<Descriptor> DescriptorsOf(const std::vector<std::string>& metrics);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MEASUREMENT_BUILDER_H_

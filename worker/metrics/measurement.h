#ifndef SINKWATCH_WORKER_METRICS_MEASUREMENT_H_
#define SINKWATCH_WORKER_METRICS_MEASUREMENT_H_

#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/kernels/attention_stats.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// One layer of one batch of one domain, as the forward pass showed it. B
// sequences, T tokens, D width, H heads, G key/value heads, E head width. A
// tensor whose point never fired is undefined; what needs it is then absent
// from the result, never 0. On the compute device, in the compute dtype.
struct LayerBatch {
  int domain = 0;  // index into the domains given to Create
  int layer = 0;   // -1: the embedding output, only resid_post_BTD
  at::Tensor resid_pre_BTD;
  at::Tensor q_BHTE;
  at::Tensor k_BGTE;
  at::Tensor v_BGTE;
  at::Tensor z_BHTE;
  at::Tensor resid_post_BTD;
  at::Tensor output_projection_DHE;  // [D, H*E], W_h side by side
  kernels::AttentionOptions attention;
  at::Tensor row_classes_BT;  // uint8 on the CPU; undefined without classes
};

// What the measurement must know beforehand.
struct Domain {
  std::string label;
  std::vector<std::string> classes;  // names of the row classes, may be empty
};

struct MeasurementOptions {
  std::vector<std::string> metrics;  // names; empty means all
  std::vector<Domain> domains;
  int layers = 0;
};

// The metrics of design version 1, folded batch by batch: each metric declares
// what it needs and keeps per-sequence sums in double, so neither memory nor
// result depends on how a domain is cut into batches (beyond rounding of
// doubles). Metrics that need the same statistic share one computation.
//
// Thread-compatible.
class Measurement {
 public:
  // INVALID_ARGUMENT names an unknown metric and lists the known ones.
  static absl::StatusOr<std::unique_ptr<Measurement>> Create(
      const MeasurementOptions& options);
  ~Measurement();

  // Adds a batch to its layer.
  void FoldLayer(const LayerBatch& batch);

  // Adds a batch's next-token cross-entropies: loss_BT [B, T-1], entry t is the
  // loss of predicting token t + 1 from row t.
  void FoldLoss(int domain, const at::Tensor& loss_BT,
                const at::Tensor& row_classes_BT);

  // The values of a layer, once all its batches are in, for every domain and
  // class; frees what the layer held. DATA_LOSS if a value is not finite,
  // naming layer, metric and domain.
  absl::StatusOr<std::vector<MetricVector>> FinishLayer(int layer);

  // Values of model scope, after all layers. A loss that is not finite is
  // reported as it is.
  absl::StatusOr<std::vector<MetricVector>> FinishModel();

 private:
  Measurement();
  // Members are the implementer's.
};

// Definitions of all metrics, in the order of the registry's table.
const std::vector<Descriptor>& AllDescriptors();

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MEASUREMENT_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_PICKED_STREAM_H_
#define SINKWATCH_WORKER_EXECUTOR_PICKED_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "worker/executor/loss.h"
#include "worker/metrics/measurement_builder.h"
#include "worker/model/architecture.h"
#include "worker/model/intervention.h"
#include "worker/model/tensor_map.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {

// A few sequences of a domain, evenly spaced.
struct PickedDomain {
  std::string label;
  at::Tensor tokens_PT;  // on the CPU
};

// Sequences of a domain that side runs take, at most.
inline constexpr int64_t kMaxPicked = 16;
std::vector<PickedDomain> PickSequences(const probe::Corpus& corpus);

// The picked sequences of all domains on their way through the layers, as the
// model has them or changed, and what the loss says of them.
//
// Thread-compatible. P sequences of a domain, T tokens, D width.
class PickedStream {
 public:
  // Both must outlive the stream. It has not begun: Begin.
  PickedStream(const model::Architecture& architecture,
               const std::vector<PickedDomain>& domains, at::Device device);

  // From then on these metrics are measured in every layer.
  void Measure(const std::vector<std::string>& metrics);

  // `x_PTD`: as the streams, by domain, enter the next layer.
  void Begin(std::vector<at::Tensor> x_PTD) { x_PTD_ = std::move(x_PTD); }
  bool has_begun() const { return !x_PTD_.empty(); }
  // As they left the last layer, or enter the next.
  const std::vector<at::Tensor>& x_PTD() const { return x_PTD_; }

  // Through a layer. `intervention`: what changes the pass; null: nothing.
  // DATA_LOSS for a measured value that is not finite.
  absl::Status RunLayer(int layer, const model::TensorMap& weights,
                        model::Intervention* intervention = nullptr);
  // What was measured of a layer; empty: nothing.
  const std::vector<metrics::MetricVector>& ValuesOf(int layer) const;

  // As NextTokenLoss::AddSlice.
  void AddHeadSlice(const model::TensorMap& head, int64_t first);
  // Of a domain, after all slices.
  const NextTokenLoss& loss(size_t domain) const { return losses_[domain]; }

 private:
  const model::Architecture& architecture_;
  const std::vector<PickedDomain>& domains_;
  std::vector<at::Tensor> x_PTD_;      // by domain
  std::vector<NextTokenLoss> losses_;  // by domain
  // Null: nothing is measured.
  std::unique_ptr<metrics::MeasurementBuilder> builder_;
  std::vector<std::vector<metrics::MetricVector>> values_;  // by layer
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_PICKED_STREAM_H_

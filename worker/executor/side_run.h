#ifndef SINKWATCH_WORKER_EXECUTOR_SIDE_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_SIDE_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/statusor.h"
#include "worker/metrics/metric_vector.h"
#include "worker/model/architecture.h"
#include "worker/model/tensor_map.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {

// Streams of its own that go through the layers beside those of the
// measurement, while a layer's weights are in memory: what a few metrics on
// request are made of. Calls come in this order: Start; RunLayer for each
// layer; AddHeadSlice for each slice of the output matrix; if it goes back,
// AddHeadSliceBack for each slice and RunLayerBack for each layer from the
// last; Finish. Values that cannot be told are left out.
//
// Thread-compatible. B sequences, T tokens, D width.
class SideRun {
 public:
  virtual ~SideRun() = default;

  // Ids that it embeds beside those of the corpus, on the CPU; undefined: none.
  virtual at::Tensor tokens() const { return {}; }

  // The embedded streams x_BTD, on the compute device, of tokens on the CPU.
  using Embed = std::function<at::Tensor(const at::Tensor& tokens_BT)>;
  virtual void Start(const Embed& /*embed*/) {}
  virtual void RunLayer(int layer, const model::TensorMap& weights) = 0;
  // As NextTokenLoss::AddSlice.
  virtual void AddHeadSlice(const model::TensorMap& /*head*/,
                            int64_t /*first*/) {}

  // Whether it wants all weights once more, from the last to the first.
  virtual bool GoesBack() const { return false; }
  virtual void AddHeadSliceBack(const model::TensorMap& /*head*/,
                                int64_t /*first*/) {}
  virtual void RunLayerBack(int /*layer*/,
                            const model::TensorMap& /*weights*/) {}

  // DATA_LOSS for a value that is not finite.
  virtual absl::StatusOr<std::vector<metrics::MetricVector>> Finish() = 0;
};

// The values, or DATA_LOSS that names the first that is not finite.
absl::StatusOr<std::vector<metrics::MetricVector>> CheckedFinite(
    std::vector<metrics::MetricVector> values);

// The runs that these metrics ask for, mostly none; they are called in this
// order. `architecture` must outlive them.
std::vector<std::unique_ptr<SideRun>> MakeSideRuns(
    const model::Architecture& architecture, const probe::Corpus& corpus,
    const std::vector<std::string>& metrics, at::Device device,
    int64_t tokens_per_batch);

// SideRun::tokens of all of them in a row; undefined: none.
at::Tensor TokensOf(const std::vector<std::unique_ptr<SideRun>>& runs);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_SIDE_RUN_H_

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
// layer; AddHeadSlice for each slice of the output matrix; Finish. Values that
// cannot be told are left out.
//
// Thread-compatible. B sequences, T tokens, D width.
class SideRun {
 public:
  virtual ~SideRun() = default;

  // The embedded streams x_BTD, on the compute device, of tokens on the CPU.
  using Embed = std::function<at::Tensor(const at::Tensor& tokens_BT)>;
  virtual void Start(const Embed& embed) = 0;
  virtual void RunLayer(int layer, const model::TensorMap& weights) = 0;
  // As NextTokenLoss::AddSlice.
  virtual void AddHeadSlice(const model::TensorMap& /*head*/,
                            int64_t /*first*/) {}
  // DATA_LOSS for a value that is not finite.
  virtual absl::StatusOr<std::vector<metrics::MetricVector>> Finish() = 0;
};

// A few sequences of a domain, evenly spaced.
struct PickedDomain {
  std::string label;
  at::Tensor tokens_PT;  // on the CPU
};

// Sequences of a domain that side runs take, at most.
inline constexpr int64_t kMaxPicked = 16;
std::vector<PickedDomain> PickSequences(const probe::Corpus& corpus);

// The values, or DATA_LOSS that names the first that is not finite.
absl::StatusOr<std::vector<metrics::MetricVector>> CheckedFinite(
    std::vector<metrics::MetricVector> values);

// Ids that the runs below embed beside those of the corpus; undefined: none.
at::Tensor TokensOfSideRuns(const model::Architecture& architecture,
                            const std::vector<std::string>& metrics);

// The runs that these metrics ask for, mostly none. `architecture` must outlive
// them.
std::vector<std::unique_ptr<SideRun>> MakeSideRuns(
    const model::Architecture& architecture, const probe::Corpus& corpus,
    const std::vector<std::string>& metrics, at::Device device,
    int64_t tokens_per_batch);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_SIDE_RUN_H_

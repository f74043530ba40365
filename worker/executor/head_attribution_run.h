#ifndef SINKWATCH_WORKER_EXECUTOR_HEAD_ATTRIBUTION_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_HEAD_ATTRIBUTION_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/executor/picked_stream.h"
#include "worker/executor/side_run.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::executor {

// What a head's output is worth to the loss, to first order, of all heads from
// one backward pass: -sum_t <dCE/dz_t, z_t>, z a head's output before the
// output projection. That is the slope of the loss as z goes to 0, so it
// estimates what `zero` ablation does; where training has converged its mean is
// 0 for every head, since the output projection could have scaled it, and what
// tells heads apart is its size in single sequences.
//
// Forward it keeps what enters each layer. Backward each layer runs again from
// there, by the same Block, under autograd; its weights are read once more, and
// copied, since those of the measurement cannot be in a graph. Gradients have
// the compute dtype.
//
// P picked sequences, B of them at a time, T tokens, R rows, D width, H heads.
class HeadAttributionRun final : public SideRun {
 public:
  // Of the streams that are kept, in all: where 16 sequences of each domain
  // have more, fewer are taken, and at least one.
  static constexpr int64_t kMaxKeptBytes = int64_t{1} << 30;

  // `plain`: the sequences; in RunLayer as they enter it. All must outlive the
  // run.
  HeadAttributionRun(const model::Architecture& architecture,
                     const std::vector<PickedDomain>& domains,
                     std::vector<std::string> metrics, int64_t tokens_per_batch,
                     const PickedStream& plain,
                     int64_t max_kept_bytes = kMaxKeptBytes);

  void RunLayer(int layer, const model::TensorMap& weights) override;
  bool GoesBack() const override { return true; }
  void AddHeadSliceBack(const model::TensorMap& head, int64_t first) override;
  void RunLayerBack(int layer, const model::TensorMap& weights) override;
  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override;

 private:
  struct Stream {
    at::Tensor pick_N;  // of the picked sequences those that are kept
    std::vector<at::Tensor> entered_PTD;  // by layer, and what left the last
    at::Tensor gradient_PTD;              // of what leaves the layer, float32
  };
  // A domain's rows that have a next token, of what left the last layer.
  struct Rows {
    at::Tensor x_RD;
    at::Tensor log_sum_exp_R;
    at::Tensor target_R;
    at::Tensor gradient_RD;
  };

  void Keep();
  void StartRows(size_t domain);
  // Takes in the columns from `first` on of rows [begin, end).
  void AddRowsBack(const model::TensorMap& head, int64_t first, int64_t begin,
                   int64_t end, Rows& rows) const;
  // Through a layer. Returns dCE/dm, [P,H], of heads that are multiplied by
  // m = 1; undefined where there are none.
  at::Tensor RunBack(int layer, const model::TensorMap& weights,
                     Stream& stream) const;
  // A mean over sequences of the slopes, or of what is made of them.
  void Append(const std::string& metric, int layer, size_t domain,
              const at::Tensor& value_PH);

  const model::Architecture& architecture_;
  const std::vector<PickedDomain>& domains_;
  const std::vector<std::string> metrics_;
  const int64_t tokens_per_batch_;
  const PickedStream& plain_;
  const int64_t max_kept_bytes_;
  std::vector<Stream> streams_;  // by domain
  std::vector<Rows> rows_;       // by domain, while the head is taken back
  std::vector<metrics::MetricVector> values_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_HEAD_ATTRIBUTION_RUN_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_LAYER_SKIP_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_LAYER_SKIP_RUN_H_

#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/executor/loss.h"
#include "worker/executor/side_run.h"
#include "worker/metrics/measurement_builder.h"
#include "worker/metrics/row_means.h"
#include "worker/model/recorder.h"

namespace sinkwatch::executor {

// The paper's causal test of what builds the residual peak: the sequences as
// they are, and streams in which attention or the MLP of one early layer adds
// nothing; each is measured on the layers after it.
class LayerSkipRun final : public SideRun {
 public:
  // Layers that are skipped, from the first.
  static constexpr int kSkipped = 4;

  LayerSkipRun(const model::Architecture& architecture,
               std::vector<PickedDomain> domains,
               std::vector<std::string> metrics, at::Device device);

  void Start(const Embed& embed) override;
  void RunLayer(int layer, const model::TensorMap& weights) override;
  void AddHeadSlice(const model::TensorMap& head, int64_t first) override;
  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override;

 private:
  // What is skipped, and what was measured of the stream.
  struct Stream {
    int layer = 0;
    // kAttnOut or kMlpOut; kResidPost: nothing is skipped.
    model::Point skipped = model::Point::kResidPost;
    bool applied = false;           // the layer has such a part
    std::vector<at::Tensor> x_BTD;  // by domain; empty before its layer
    std::vector<NextTokenLoss> losses;
    std::unique_ptr<metrics::MeasurementBuilder> builder;
    // Of each layer from `layer` on.
    std::vector<std::vector<metrics::MetricVector>> values;
  };
  // Sums over layers, or over layers and heads.
  struct Downstream {
    double sum = 0;
    int64_t count = 0;
  };

  Stream NewStream(int layer, model::Point skipped) const;
  void Advance(int layer, const model::TensorMap& weights, Stream& stream);
  static Downstream MeanOf(const Stream& stream, const std::string& metric,
                           const std::string& domain, int from);
  void AppendDownstream(const Stream& stream, const std::string& metric,
                        std::vector<metrics::MetricVector>& values) const;
  void AppendLoss(const Stream& stream,
                  std::vector<metrics::MetricVector>& values) const;

  const model::Architecture& architecture_;
  const std::vector<PickedDomain> domains_;
  const std::vector<std::string> metrics_;
  const at::Device device_;
  std::vector<Stream> streams_;  // the first is the plain one
  absl::Status status_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_LAYER_SKIP_RUN_H_

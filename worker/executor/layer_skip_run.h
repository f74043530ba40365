#ifndef SINKWATCH_WORKER_EXECUTOR_LAYER_SKIP_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_LAYER_SKIP_RUN_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/executor/picked_stream.h"
#include "worker/executor/side_run.h"
#include "worker/metrics/metric_vector.h"
#include "worker/model/recorder.h"

namespace sinkwatch::executor {

// The paper's causal test of what builds the residual peak: streams in which
// attention or the MLP of one early layer adds nothing; each is measured on the
// layers after it.
class LayerSkipRun final : public SideRun {
 public:
  // Layers that are skipped, from the first.
  static constexpr int kSkipped = 4;

  // `plain`: the same sequences as they are; in RunLayer as they enter it. All
  // must outlive the run.
  LayerSkipRun(const model::Architecture& architecture,
               const std::vector<PickedDomain>& domains,
               std::vector<std::string> metrics, at::Device device,
               PickedStream& plain);

  void RunLayer(int layer, const model::TensorMap& weights) override;
  void AddHeadSlice(const model::TensorMap& head, int64_t first) override;
  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override;

 private:
  // What is skipped.
  struct Stream {
    int layer = 0;
    model::Point skipped = model::Point::kAttnOut;  // or kMlpOut
    bool applied = false;                           // the layer has such a part
    PickedStream stream;
  };
  // Sums over layers, or over layers and heads.
  struct Downstream {
    double sum = 0;
    int64_t count = 0;
  };

  // Of the layers from `from` on.
  Downstream MeanOf(const PickedStream& stream, const std::string& metric,
                    const std::string& domain, int from) const;
  void AppendDownstream(const Stream& stream, const std::string& metric,
                        std::vector<metrics::MetricVector>& values) const;
  void AppendLoss(const Stream& stream,
                  std::vector<metrics::MetricVector>& values) const;

  const int layers_;
  const std::vector<PickedDomain>& domains_;
  const std::vector<std::string> metrics_;
  const PickedStream& plain_;
  std::vector<Stream> streams_;
  absl::Status status_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_LAYER_SKIP_RUN_H_

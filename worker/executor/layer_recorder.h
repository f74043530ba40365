#ifndef SINKWATCH_WORKER_EXECUTOR_LAYER_RECORDER_H_
#define SINKWATCH_WORKER_EXECUTOR_LAYER_RECORDER_H_

#include "worker/kernels/attention_stats.h"
#include "worker/metrics/layer_batch.h"
#include "worker/model/architecture.h"
#include "worker/model/intervention.h"
#include "worker/model/recorder.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::executor {

// What a LayerBatch says of a layer before a pass: its attention and its output
// projection. The rest of it is as it was.
void DescribeLayer(const model::Architecture& architecture, int layer,
                   const model::TensorMap& weights, metrics::LayerBatch& batch);

// Keeps what the metrics fold of one pass through one layer.
class LayerRecorder final : public model::Recorder {
 public:
  // `needs`: MeasurementBuilder::needs(). `intervention`: what changes the
  // pass, if anything does. All must outlive the recorder.
  LayerRecorder(metrics::LayerBatch& layer, unsigned needs,
                model::Intervention* intervention = nullptr)
      : layer_(layer), needs_(needs), intervention_(intervention) {}

  void Record(model::Point point, int layer, const at::Tensor& tensor) override;
  bool Wants(model::Point point) override;
  model::Intervention* intervention() override { return intervention_; }

 private:
  metrics::LayerBatch& layer_;
  const unsigned needs_;
  model::Intervention* const intervention_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_LAYER_RECORDER_H_

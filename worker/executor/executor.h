#ifndef SINKWATCH_WORKER_EXECUTOR_EXECUTOR_H_
#define SINKWATCH_WORKER_EXECUTOR_EXECUTOR_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/ablation_run.h"
#include "worker/metrics/metric_vector.h"
#include "worker/model/architecture.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {

struct ExecuteOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  // Names of metrics; empty means all.
  std::vector<std::string> metrics;
  // Tokens that run through a layer at a time; bounds the activations.
  int64_t tokens_per_batch = 8192;
  // Which heads are changed to see what the loss says.
  AblationOptions ablation;
};

// What the caller hears while it runs. All are called on the caller's thread;
// an empty function is left out.
struct ExecuteCallbacks {
  // A layer's values, then those of model scope, then, if heads were ablated,
  // theirs of all layers. An error ends the run with that error.
  std::function<absl::Status(std::vector<metrics::MetricVector>)> on_values;
  // Share of the work done, 0..1, after every batch.
  std::function<void(double)> on_progress;
  // Polled after every batch; true ends the run with CANCELLED.
  std::function<bool()> cancelled;
};

struct ExecuteSummary {
  double load_seconds = 0;     // waiting for weights
  double compute_seconds = 0;  // everything else
  // Of the weights that were read, but for the embedding's rows that are read
  // for the probe's tokens: independent of the probe (content_digest.h).
  std::string content_digest;
  std::vector<checkpoint::TensorDigest> tensors;
  // What a person should know of how it was measured.
  std::vector<std::string> notes;
  // MeasurementBuilder::Sinks().
  std::vector<metrics::SinkToken> sinks;
  // MeasurementBuilder::Massive().
  std::vector<metrics::MassiveDimension> massive;
  // Where heads were ablated: AblationOptions::previous of the run's next.
  HeadStates head_states;
};

// Runs `corpus` through the checkpoint layer by layer: the next layers
// (weight_stream.h) are read while layer l runs over all batches, so each
// weight is read once and two layers, on a GPU three, are in memory at a time.
// Computes the metrics as it goes.
//
// Errors: those of Checkpoint (prefixed with the tensor); INVALID_ARGUMENT if
// the corpus does not fit the model or a metric is unknown; DATA_LOSS, naming
// the layer, for values that are not finite; RESOURCE_EXHAUSTED for memory,
// naming the device and tokens_per_batch; CANCELLED. A change of the checkpoint
// while it was read is DATA_LOSS. c10::Error does not leave this function.
absl::StatusOr<ExecuteSummary> Execute(const model::Architecture& architecture,
                                       checkpoint::Checkpoint& checkpoint,
                                       const probe::Corpus& corpus,
                                       const ExecuteOptions& options,
                                       const ExecuteCallbacks& callbacks);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_EXECUTOR_H_

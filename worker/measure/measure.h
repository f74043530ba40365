#ifndef SINKWATCH_WORKER_MEASURE_MEASURE_H_
#define SINKWATCH_WORKER_MEASURE_MEASURE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/executor/executor.h"
#include "worker/executor/weight_source.h"
#include "worker/metrics/metric_vector.h"
#include "worker/model/architecture.h"

namespace sinkwatch::worker {

// One checkpoint, one probe, and how to run one through the other.
struct MeasureRequest : executor::ExecuteOptions {
  std::string checkpoint;  // folder, or a llama2.c .bin file
  // If not empty, the file with the model's config, for a checkpoint that has
  // none of its own.
  std::string model_config;
  std::string probe;  // folder
  // If not empty, the digest that the probe must have.
  std::string probe_digest;
  // If not empty, the published protocol that is followed (protocol.h): its
  // metrics, and those that are named.
  std::string protocol;
};

// What is known before the first value.
struct MeasureFacts {
  model::ModelShape model;
  executor::UnusedTensors unused;
  std::string probe_name;
  std::string probe_digest;
  int64_t sequence_length = 0;
  std::string bos_policy;
  std::string protocol;
  std::string dtype;   // "float32" or "bfloat16"
  std::string device;  // "cuda:0 (NVIDIA H200)"
  // Labels of the probe: each has values.
  std::vector<std::string> domains;
  // Definitions of the metrics that may come.
  std::vector<metrics::Descriptor> metrics;
};

struct MeasureCallbacks : executor::ExecuteCallbacks {
  // Once, first. An error ends the measurement.
  std::function<absl::Status(const MeasureFacts&)> on_start;
};

struct MeasureSummary : executor::ExecuteSummary {
  // Empty, or why the values are not to be believed: a probe loss that is not
  // finite, or one above ln(vocabulary) + 1 in every domain, as of wrong
  // weights or a wrong tokenizer.
  std::string implausible;
};

// Measures one checkpoint: opens it and the probe, runs the executor, hands the
// values out. Codes: FAILED_PRECONDITION incomplete, DATA_LOSS corrupt,
// UNIMPLEMENTED unsupported, NOT_FOUND vanished, INVALID_ARGUMENT for a probe
// that is wrong or does not fit the model or the protocol, CANCELLED, else
// transient. Messages name file, place and rule. Throws nothing.
absl::StatusOr<MeasureSummary> Measure(const MeasureRequest& request,
                                       const MeasureCallbacks& callbacks);

// Whether that status of Measure is the probe's: it cannot be read, or is not
// the one that was asked for. It says nothing about the checkpoint.
bool IsProbeFault(const absl::Status& status);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_MEASURE_H_

#ifndef SINKWATCH_WORKER_MEASURE_SELF_TEST_H_
#define SINKWATCH_WORKER_MEASURE_SELF_TEST_H_

#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::worker {

// Measures a built-in tiny model on `device` in float32, through the same
// reader, forward pass and metrics as any checkpoint, and compares it with
// float64 values of an independent program (self_test_golden.py). A worker runs
// this before its first lease, so that a broken driver, library or build costs
// a start, not a series. Needs 20 kB in the temporary folder and well under a
// second.
//
// INTERNAL names the first value that is off; other codes are those of
// executor::Execute.
absl::Status RunSelfTest(const at::Device& device);

// Its two halves.
absl::StatusOr<std::vector<metrics::MetricVector>> MeasureBuiltInModel(
    const at::Device& device);
absl::Status CompareWithGolden(
    const std::vector<metrics::MetricVector>& measured);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_SELF_TEST_H_

#ifndef SINKWATCH_WORKER_SELF_TEST_H_
#define SINKWATCH_WORKER_SELF_TEST_H_

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"

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

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_SELF_TEST_H_

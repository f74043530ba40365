#ifndef SINKWATCH_WORKER_LOOP_OUTCOME_H_
#define SINKWATCH_WORKER_LOOP_OUTCOME_H_

#include "absl/status/status.h"
#include "sinkwatch/v1/checkpoint.pb.h"

namespace sinkwatch::worker {

// What a measurement that ended with `status` (not OK) is reported as:
//   FAILED_PRECONDITION  incomplete
//   DATA_LOSS            corrupt
//   UNIMPLEMENTED        unsupported
//   INVALID_ARGUMENT     unsupported: probe, metrics and model do not fit
//   NOT_FOUND            vanished
//   anything else        transient: I/O, memory, a device that failed
v1::Outcome OutcomeOf(const absl::Status& status);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_OUTCOME_H_

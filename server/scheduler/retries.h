#ifndef SINKWATCH_SERVER_SCHEDULER_RETRIES_H_
#define SINKWATCH_SERVER_SCHEDULER_RETRIES_H_

#include "absl/time/time.h"
#include "server/store/store.h"
#include "sinkwatch/v1/checkpoint.pb.h"

namespace sinkwatch::scheduler {

struct RetryLimits {
  int max_attempts = 5;
  absl::Duration backoff = absl::Seconds(2);  // bound of the first wait
  absl::Duration max_backoff = absl::Minutes(5);
};

// How a job goes on after its `attempt`-th attempt (from 1) failed:
//   corrupt, unsupported  DEAD at once: another look changes nothing
//   vanished              VANISHED
//   incomplete            WAITING until the checkpoint changes or the bound of
//                         the wait is over; after max_attempts until it changes
//   transient             RETRYING after a wait, DEAD after max_attempts
//   released              RETRYING after a wait of up to 16 s, and no attempt
//                         is used: the fault is not the checkpoint's
// The wait is `jitter` (in [0, 1), drawn by the caller) of a bound that doubles
// with each attempt: full jitter, so that jobs that failed together do not come
// back together.
store::FailDecision DecideFailure(v1::Outcome outcome, int attempt,
                                  const RetryLimits& limits, double jitter,
                                  absl::Time now);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_RETRIES_H_

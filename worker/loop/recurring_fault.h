#ifndef SINKWATCH_WORKER_LOOP_RECURRING_FAULT_H_
#define SINKWATCH_WORKER_LOOP_RECURRING_FAULT_H_

#include <cstdint>

#include "absl/time/time.h"

namespace sinkwatch::worker {

// Decides which of a row of equal faults are worth a line of the log: the first
// at once, then one a minute. Not thread-safe.
class RecurringFault {
 public:
  // The fault occurred. Whether to say so now.
  bool Occurred(absl::Time now) {
    if (count_++ > 0 && now - said_ < absl::Minutes(1)) return false;
    said_ = now;
    return true;
  }

  // It is over. How often it had occurred; 0 if it had not.
  int64_t Over() {
    const int64_t count = count_;
    count_ = 0;
    return count;
  }

  int64_t count() const { return count_; }

 private:
  int64_t count_ = 0;
  absl::Time said_;
};

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_RECURRING_FAULT_H_

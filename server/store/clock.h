#ifndef SINKWATCH_SERVER_STORE_CLOCK_H_
#define SINKWATCH_SERVER_STORE_CLOCK_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace sinkwatch::store {

// The clock of every decision about time. Tests pass their own.
using Clock = std::function<absl::Time()>;

// The machine's steady clock, from the epoch on: only differences mean
// anything.
absl::Time SteadyTime();

// A clock that shows wall time when it is made, and from then on as much more
// as `steady` does: leases, back-offs and settling go on as they are when
// somebody sets the wall clock. What it shows is off by what the wall clock was
// set, until the process starts again.
Clock SteadyFromNow(const Clock& wall = absl::Now,
                    const Clock& steady = SteadyTime);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_CLOCK_H_

#include "server/store/clock.h"

#include <chrono>

namespace sinkwatch::store {

absl::Time SteadyTime() {
  return absl::UnixEpoch() +
         absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

Clock SteadyFromNow(const Clock& wall, const Clock& steady) {
  return [start = wall(), steady_start = steady(), steady] {
    return start + (steady() - steady_start);
  };
}

}  // namespace sinkwatch::store

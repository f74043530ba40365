#ifndef SINKWATCH_WORKER_EXECUTOR_EVEN_PICKS_H_
#define SINKWATCH_WORKER_EXECUTOR_EVEN_PICKS_H_

#include <cstdint>
#include <vector>

namespace sinkwatch::executor {

// `wanted` of `all` numbers from 0, evenly spaced, ascending: the middles of as
// many equal parts.
inline std::vector<int64_t> EvenPicks(int64_t wanted, int64_t all) {
  std::vector<int64_t> picks;
  for (int64_t i = 0; i < wanted; ++i) {
    picks.push_back((2 * i + 1) * all / (2 * wanted));
  }
  return picks;
}

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_EVEN_PICKS_H_

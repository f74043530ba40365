#ifndef SINKWATCH_SERVER_ANALYTICS_SEED_BAND_H_
#define SINKWATCH_SERVER_ANALYTICS_SEED_BAND_H_

#include <cstdint>
#include <string>
#include <vector>

#include "server/analytics/series_point.h"

namespace sinkwatch::analytics {

// Several runs at a step that all of them have.
struct BandPoint {
  int64_t step = 0;
  double least = 0;
  double median = 0;
  double largest = 0;
};

// The band over runs that differ only in their seed, at the steps that all
// have. Never a mean: ratios have none.
std::vector<BandPoint> BandOf(
    const std::vector<std::vector<SeriesPoint>>& runs);

// The name of a run without the number of its seed ("toy-seed3" and
// "toy-seed12" are one group): that behind the last "seed", with at most one of
// "-", "_", "=" between. A name without one is its own group.
std::string SeedGroupOf(const std::string& run);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_SEED_BAND_H_

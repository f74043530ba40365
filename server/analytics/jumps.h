#ifndef SINKWATCH_SERVER_ANALYTICS_JUMPS_H_
#define SINKWATCH_SERVER_ANALYTICS_JUMPS_H_

#include <cstddef>
#include <vector>

#include "server/analytics/series_point.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::analytics {

// Which changes count as jumps.
struct JumpRule {
  // Times its noise that a change must be. Six of a normal distribution happen
  // by chance once in 5 * 10^8: a run of 32 layers and 300 checkpoints has
  // 10^4.
  double min_score = 6;
  // Changes to either side that tell what is usual there; fewer than four in
  // all tell nothing, and then there is no jump.
  int neighbours = 10;
};

// Checkpoints below which nothing is known of what changes are usual, so that
// there are no jumps.
inline constexpr size_t kFewestForJumps = 6;

// The jumps of a series, ascending; the key is left unset.
//
// Of the change d between two checkpoints, the excess over the median of its
// neighbours is divided by its noise: the standard errors of both values, and
// the scatter of the changes around it, or the scatter that is typical of the
// series, whichever is larger; a change that is smaller than usual, or goes the
// other way than its excess, is none. Where checkpoints are not evenly spaced
// (a gap, powers of two that become multiples) it must also stand out of the
// rates around it, by step and by ln(1 + step): a smooth curve does not jump
// where its grid changes. Changes in a row, of one direction, whose score is at
// least min_score are one jump, and the largest of them says where it is: a
// step of one checkpoint and a steep rise over three are both found, a rise
// over twenty is none, because there the neighbours rise as well.
//
// It must stay: of the way it went, the median of the three values from its end
// on must keep more than half against that of the three up to its start. Where
// the series ends with it, it is provisional.
std::vector<v1::Jump> FindJumps(const std::vector<SeriesPoint>& series,
                                const JumpRule& rule);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_JUMPS_H_

#ifndef SINKWATCH_SERVER_ANALYTICS_RISE_H_
#define SINKWATCH_SERVER_ANALYTICS_RISE_H_

#include <optional>
#include <vector>

#include "server/analytics/series_point.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::analytics {

// How a series goes from its first value to its extreme one (see Rise): the
// largest, or with `below` the smallest. Of the way, a half is passed at the
// first checkpoint beyond it; a tenth is left behind at the last checkpoint
// before that; nine tenths are reached at the first one from there on. None if
// the way is shorter than four standard errors of its ends; an error that is
// not known counts as 0.
std::optional<v1::Rise> FindRise(const std::vector<SeriesPoint>& series,
                                 bool below);

// ln(1 + step): the axis on which pretraining is even.
double LogStep(double step);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_RISE_H_

#ifndef SINKWATCH_SERVER_QUERY_ROLE_NOTES_H_
#define SINKWATCH_SERVER_QUERY_ROLE_NOTES_H_

#include <string>
#include <vector>

#include "server/query/run_series.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::query {

// What a person should know of the metrics that an answer about a run was told
// by: which were taken though none says that it plays the role, and which roles
// no metric plays, so that what rests on them is not told. Of these roles.
std::vector<std::string> RoleNotes(const RunSeries& run,
                                   const std::vector<v1::MetricRole>& roles);

// All that a summary rests on.
const std::vector<v1::MetricRole>& RolesOfSummary();

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_ROLE_NOTES_H_

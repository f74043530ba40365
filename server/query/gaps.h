#ifndef SINKWATCH_SERVER_QUERY_GAPS_H_
#define SINKWATCH_SERVER_QUERY_GAPS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/store/store.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Adds to `response` the checkpoints of the run's stage that are not among the
// steps of `series`: those that wait or have ended otherwise, and those that
// are measured without a value here, or with one that cannot be read. Costs the
// former; the latter are
// looked for only where the number of measured checkpoints says that there are
// some. Codes are Store's.
absl::Status AddGaps(store::Store& store, const v1::RunStatus& run,
                     const std::string& stage, const store::Series& series,
                     const v1::SeriesSelector& selector,
                     v1::QuerySeriesResponse& response);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_GAPS_H_

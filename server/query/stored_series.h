#ifndef SINKWATCH_SERVER_QUERY_STORED_SERIES_H_
#define SINKWATCH_SERVER_QUERY_STORED_SERIES_H_

#include <cstdint>

#include "server/store/series.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Values that one question may read: 80 layers of 64 heads over 3,000 steps are
// fifteen million.
inline constexpr int64_t kMaxRead = 20'000'000;

// What the store is asked for a selector: all steps of these layers and heads;
// stage and domain are still to be said.
store::SeriesQuery QueryOf(const v1::SeriesSelector& selector);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_STORED_SERIES_H_

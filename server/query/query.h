#ifndef SINKWATCH_SERVER_QUERY_QUERY_H_
#define SINKWATCH_SERVER_QUERY_QUERY_H_

#include "absl/status/statusor.h"
#include "server/store/store.h"
#include "sinkwatch/v1/query_service.pb.h"

// Queries that are more than a look into the store; gRPC and HTTP both answer
// with these. Codes as Store's.
namespace sinkwatch::query {

// A page of a series. Other aggregations than EACH make one column per layer
// out of the columns of its heads; standard errors are then NaN.
absl::StatusOr<v1::QuerySeriesResponse> QuerySeries(
    store::Store& store, const v1::QuerySeriesRequest& request);

// When each column of the whole series crossed the threshold for good.
absl::StatusOr<v1::GetEmergenceResponse> GetEmergence(
    store::Store& store, const v1::GetEmergenceRequest& request);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_QUERY_H_

#ifndef SINKWATCH_SERVER_QUERY_ANALYSES_H_
#define SINKWATCH_SERVER_QUERY_ANALYSES_H_

#include "absl/status/statusor.h"
#include "server/query/queries.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::query {

// Every question about what stored numbers mean, answered once: gRPC and HTTP
// only carry requests to it and answers from it. Each answer is derived anew
// from all the measurements there are, in the order of their steps, so that it
// does not matter when which of them came.
//
// Codes are those of Queries; FAILED_PRECONDITION where a run has not what the
// question is about (no measurements, no metric that tells dormancy).
//
// Thread-safe. `queries` must outlive it.
class Analyses {
 public:
  explicit Analyses(Queries* queries) : queries_(queries) {}

  absl::StatusOr<v1::GetStatesResponse> States(
      const v1::GetStatesRequest& request);
  absl::StatusOr<v1::CompareDomainsResponse> Domains(
      const v1::CompareDomainsRequest& request);
  absl::StatusOr<v1::FindJumpsResponse> Jumps(
      const v1::FindJumpsRequest& request);
  absl::StatusOr<v1::FitSeriesResponse> Fits(
      const v1::FitSeriesRequest& request);
  absl::StatusOr<v1::SummarizeResponse> Summary(
      const v1::SummarizeRequest& request);
  absl::StatusOr<v1::CompareRunsResponse> Comparison(
      const v1::CompareRunsRequest& request);

 private:
  Queries* const queries_;
};

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_ANALYSES_H_

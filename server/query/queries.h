#ifndef SINKWATCH_SERVER_QUERY_QUERIES_H_
#define SINKWATCH_SERVER_QUERY_QUERIES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/store.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Every question about runs and their measurements, answered once: gRPC and
// HTTP only carry requests to it and answers from it. What a request may leave
// out, what it may not ask for and how much an answer holds is said in
// query_service.proto and decided here.
//
// NOT_FOUND for a run, stage, domain, metric, step, layer or head that there is
// not, with what there is (shortened where that is long) and the nearest name.
// INVALID_ARGUMENT for a choice that the request leaves open, a token of
// another list, or more than an answer may hold; it carries the name of the
// broken rule (answers/parse.h). Other codes are Store's.
//
// Thread-safe. `store` must outlive it.
class Queries {
 public:
  // Why a run's root could not be read last time; empty if it could.
  using DiscoveryError = std::function<std::string(const std::string& run)>;

  // `discovery_error` may be empty: the store does not know such errors.
  Queries(store::Store* store, DiscoveryError discovery_error);

  absl::StatusOr<v1::ListRunsResponse> Runs(const v1::ListRunsRequest& request);
  absl::StatusOr<v1::RunStatus> Run(const std::string& name);
  absl::StatusOr<v1::ListCheckpointsResponse> Checkpoints(
      const v1::ListCheckpointsRequest& request);
  absl::StatusOr<v1::ListMetricsResponse> Metrics(
      const v1::ListMetricsRequest& request);
  absl::StatusOr<v1::Measurement> Measurement(
      const v1::GetMeasurementRequest& request);
  absl::StatusOr<v1::QuerySeriesResponse> Series(
      const v1::QuerySeriesRequest& request);
  absl::StatusOr<v1::QueryMatrixResponse> Matrix(
      const v1::QueryMatrixRequest& request);
  absl::StatusOr<v1::GetEmergenceResponse> Emergence(
      const v1::GetEmergenceRequest& request);

  // OK if the run is there.
  absl::Status CheckRun(const std::string& name);
  // Differs whenever an answer about the run may differ: with every commit and
  // every change of a state of its jobs. Empty `run`: of all runs.
  absl::StatusOr<std::string> Version(const std::string& run);

 private:
  store::Store* const store_;
  const DiscoveryError discovery_error_;
};

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_QUERIES_H_

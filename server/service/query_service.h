#ifndef SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_

#include "server/query/queries.h"
#include "server/service/call_queue.h"
#include "server/service/measurement_feed.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/query_service.grpc.pb.h"

namespace sinkwatch::service {

// QueryService over Queries: a line a call, answered on threads of its own. It
// has no logic of its own. Thread-safe. Everything given must outlive it, and
// it the gRPC server.
class QueryServiceImpl final : public v1::QueryService::CallbackService {
 public:
  struct Parts {
    query::Queries* queries;
    MeasurementFeed* feed;
    telemetry::ServiceMetrics* metrics;
    CallLimits limits = {};
  };
  explicit QueryServiceImpl(const Parts& parts)
      : parts_(parts), calls_(parts.limits) {}

  grpc::ServerUnaryReactor* ListRuns(grpc::CallbackServerContext* context,
                                     const v1::ListRunsRequest* request,
                                     v1::ListRunsResponse* response) override;
  grpc::ServerUnaryReactor* ListCheckpoints(
      grpc::CallbackServerContext* context,
      const v1::ListCheckpointsRequest* request,
      v1::ListCheckpointsResponse* response) override;
  grpc::ServerUnaryReactor* ListMetrics(
      grpc::CallbackServerContext* context,
      const v1::ListMetricsRequest* request,
      v1::ListMetricsResponse* response) override;
  grpc::ServerUnaryReactor* GetMeasurement(
      grpc::CallbackServerContext* context,
      const v1::GetMeasurementRequest* request,
      v1::Measurement* response) override;
  grpc::ServerUnaryReactor* QuerySeries(
      grpc::CallbackServerContext* context,
      const v1::QuerySeriesRequest* request,
      v1::QuerySeriesResponse* response) override;
  grpc::ServerUnaryReactor* QueryMatrix(
      grpc::CallbackServerContext* context,
      const v1::QueryMatrixRequest* request,
      v1::QueryMatrixResponse* response) override;
  grpc::ServerUnaryReactor* GetEmergence(
      grpc::CallbackServerContext* context,
      const v1::GetEmergenceRequest* request,
      v1::GetEmergenceResponse* response) override;
  grpc::ServerWriteReactor<v1::MeasurementEvent>* WatchMeasurements(
      grpc::CallbackServerContext* context,
      const v1::WatchMeasurementsRequest* request) override;

 private:
  template <typename Request, typename Response>
  using Question = absl::StatusOr<Response> (query::Queries::*)(const Request&);
  // Asks one question in its turn, moves its answer out, counts the call.
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Answer(const char* method,
                                   grpc::CallbackServerContext* context,
                                   Question<Request, Response> question,
                                   const Request* request, Response* response);

  const Parts parts_;
  CallQueue calls_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_

#ifndef SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_

#include "server/query/queries.h"
#include "server/service/measurement_feed.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/query_service.grpc.pb.h"

namespace sinkwatch::service {

// QueryService over Queries: a line a call. It has no logic of its own.
// Thread-safe. Everything given must outlive it.
class QueryServiceImpl final
    : public v1::QueryService::WithCallbackMethod_WatchMeasurements<
          v1::QueryService::Service> {
 public:
  struct Parts {
    query::Queries* queries;
    MeasurementFeed* feed;
    telemetry::ServiceMetrics* metrics;
  };
  explicit QueryServiceImpl(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status ListRuns(grpc::ServerContext* context,
                        const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override;
  grpc::Status ListCheckpoints(grpc::ServerContext* context,
                               const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override;
  grpc::Status ListMetrics(grpc::ServerContext* context,
                           const v1::ListMetricsRequest* request,
                           v1::ListMetricsResponse* response) override;
  grpc::Status GetMeasurement(grpc::ServerContext* context,
                              const v1::GetMeasurementRequest* request,
                              v1::Measurement* response) override;
  grpc::Status QuerySeries(grpc::ServerContext* context,
                           const v1::QuerySeriesRequest* request,
                           v1::QuerySeriesResponse* response) override;
  grpc::Status QueryMatrix(grpc::ServerContext* context,
                           const v1::QueryMatrixRequest* request,
                           v1::QueryMatrixResponse* response) override;
  grpc::Status GetEmergence(grpc::ServerContext* context,
                            const v1::GetEmergenceRequest* request,
                            v1::GetEmergenceResponse* response) override;
  grpc::ServerWriteReactor<v1::MeasurementEvent>* WatchMeasurements(
      grpc::CallbackServerContext* context,
      const v1::WatchMeasurementsRequest* request) override;

 private:
  template <typename Request, typename Response>
  using Question = absl::StatusOr<Response> (query::Queries::*)(const Request&);
  // Asks one question, moves its answer out, counts the call.
  template <typename Request, typename Response>
  grpc::Status Answer(const char* method, Question<Request, Response> question,
                      const Request* request, Response* response);

  const Parts parts_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_

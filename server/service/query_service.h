#ifndef SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_

#include <functional>
#include <string>

#include "server/service/measurement_feed.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/query_service.grpc.pb.h"

namespace sinkwatch::service {

// QueryService over the store and analytics: it has no logic of its own.
// Thread-safe. Everything given must outlive it.
class QueryServiceImpl final
    : public v1::QueryService::WithCallbackMethod_WatchMeasurements<
          v1::QueryService::Service> {
 public:
  struct Parts {
    store::Store* store;
    MeasurementFeed* feed;
    telemetry::ServiceMetrics* metrics;
    // Why a run could not be looked at last time; empty if it could.
    std::function<std::string(const std::string&)> discovery_error;
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
  // Runs one query, moves its answer out, counts the call.
  template <typename Response, typename Query>
  grpc::Status Serve(const char* method, Response* response,
                     const Query& query);

  const Parts parts_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_QUERY_SERVICE_H_

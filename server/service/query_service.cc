#include "server/service/query_service.h"

#include <utility>

#include "server/service/rpc_timer.h"
#include "server/service/watch_reactor.h"

namespace sinkwatch::service {

template <typename Request, typename Response>
grpc::Status QueryServiceImpl::Answer(const char* method,
                                      Question<Request, Response> question,
                                      const Request* request,
                                      Response* response) {
  const RpcTimer timer(parts_.metrics, method);
  absl::StatusOr<Response> answer = (parts_.queries->*question)(*request);
  if (answer.ok()) *response = *std::move(answer);
  return timer.End(answer.status());
}

grpc::Status QueryServiceImpl::ListRuns(grpc::ServerContext*,
                                        const v1::ListRunsRequest* request,
                                        v1::ListRunsResponse* response) {
  return Answer("QueryService/ListRuns", &query::Queries::Runs, request,
                response);
}

grpc::Status QueryServiceImpl::ListCheckpoints(
    grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  return Answer("QueryService/ListCheckpoints", &query::Queries::Checkpoints,
                request, response);
}

grpc::Status QueryServiceImpl::ListMetrics(
    grpc::ServerContext*, const v1::ListMetricsRequest* request,
    v1::ListMetricsResponse* response) {
  return Answer("QueryService/ListMetrics", &query::Queries::Metrics, request,
                response);
}

grpc::Status QueryServiceImpl::GetMeasurement(
    grpc::ServerContext*, const v1::GetMeasurementRequest* request,
    v1::Measurement* response) {
  return Answer("QueryService/GetMeasurement", &query::Queries::Measurement,
                request, response);
}

grpc::Status QueryServiceImpl::QuerySeries(
    grpc::ServerContext*, const v1::QuerySeriesRequest* request,
    v1::QuerySeriesResponse* response) {
  return Answer("QueryService/QuerySeries", &query::Queries::Series, request,
                response);
}

grpc::Status QueryServiceImpl::QueryMatrix(
    grpc::ServerContext*, const v1::QueryMatrixRequest* request,
    v1::QueryMatrixResponse* response) {
  return Answer("QueryService/QueryMatrix", &query::Queries::Matrix, request,
                response);
}

grpc::Status QueryServiceImpl::GetEmergence(
    grpc::ServerContext*, const v1::GetEmergenceRequest* request,
    v1::GetEmergenceResponse* response) {
  return Answer("QueryService/GetEmergence", &query::Queries::Emergence,
                request, response);
}

grpc::ServerWriteReactor<v1::MeasurementEvent>*
QueryServiceImpl::WatchMeasurements(
    grpc::CallbackServerContext*, const v1::WatchMeasurementsRequest* request) {
  absl::Status known;
  if (!request->run().empty()) {
    known = parts_.queries->Run(request->run()).status();
  }
  return new WatchReactor(
      parts_.feed, request->run(), known,
      RpcTimer(parts_.metrics, "QueryService/WatchMeasurements"));
}

}  // namespace sinkwatch::service

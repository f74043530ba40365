#include "server/service/query_service.h"

#include <string>
#include <utility>

#include "proto/base/catch_all.h"
#include "server/service/rpc_timer.h"
#include "server/service/watch_reactor.h"

namespace sinkwatch::service {

template <typename Request, typename Response>
grpc::ServerUnaryReactor* QueryServiceImpl::Answer(
    const char* method, grpc::CallbackServerContext* context,
    Question<Request, Response> question, const Request* request,
    Response* response) {
  const auto ask = [this, question, request, response] {
    absl::StatusOr<Response> answer = (parts_.queries->*question)(*request);
    if (answer.ok()) *response = *std::move(answer);
    return answer.status();
  };
  return calls_.Answer(context, *request, *response,
                       RpcTimer(parts_.metrics, method), ask);
}

grpc::ServerUnaryReactor* QueryServiceImpl::ListRuns(
    grpc::CallbackServerContext* context, const v1::ListRunsRequest* request,
    v1::ListRunsResponse* response) {
  return Answer("QueryService/ListRuns", context, &query::Queries::Runs,
                request, response);
}

grpc::ServerUnaryReactor* QueryServiceImpl::ListCheckpoints(
    grpc::CallbackServerContext* context,
    const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  return Answer("QueryService/ListCheckpoints", context,
                &query::Queries::Checkpoints, request, response);
}

grpc::ServerUnaryReactor* QueryServiceImpl::ListMetrics(
    grpc::CallbackServerContext* context, const v1::ListMetricsRequest* request,
    v1::ListMetricsResponse* response) {
  return Answer("QueryService/ListMetrics", context, &query::Queries::Metrics,
                request, response);
}

grpc::ServerUnaryReactor* QueryServiceImpl::GetMeasurement(
    grpc::CallbackServerContext* context,
    const v1::GetMeasurementRequest* request, v1::Measurement* response) {
  return Answer("QueryService/GetMeasurement", context,
                &query::Queries::Measurement, request, response);
}

grpc::ServerUnaryReactor* QueryServiceImpl::QuerySeries(
    grpc::CallbackServerContext* context, const v1::QuerySeriesRequest* request,
    v1::QuerySeriesResponse* response) {
  return Answer("QueryService/QuerySeries", context, &query::Queries::Series,
                request, response);
}

grpc::ServerUnaryReactor* QueryServiceImpl::QueryMatrix(
    grpc::CallbackServerContext* context, const v1::QueryMatrixRequest* request,
    v1::QueryMatrixResponse* response) {
  return Answer("QueryService/QueryMatrix", context, &query::Queries::Matrix,
                request, response);
}

grpc::ServerUnaryReactor* QueryServiceImpl::GetEmergence(
    grpc::CallbackServerContext* context,
    const v1::GetEmergenceRequest* request,
    v1::GetEmergenceResponse* response) {
  return Answer("QueryService/GetEmergence", context,
                &query::Queries::Emergence, request, response);
}

grpc::ServerWriteReactor<v1::MeasurementEvent>*
QueryServiceImpl::WatchMeasurements(
    grpc::CallbackServerContext*, const v1::WatchMeasurementsRequest* request) {
  auto* const watch = new WatchReactor(
      parts_.feed, request->run(),
      RpcTimer(parts_.metrics, "QueryService/WatchMeasurements"));
  const std::string run = request->run();
  const absl::Status taken =
      calls_.Submit(static_cast<int64_t>(run.size()), [this, watch, run] {
        watch->Start(base::CatchAll([&] {
          return run.empty() ? absl::OkStatus()
                             : parts_.queries->Run(run).status();
        }));
      });
  if (!taken.ok()) watch->Start(taken);
  return watch;
}

}  // namespace sinkwatch::service

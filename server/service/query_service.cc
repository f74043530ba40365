#include "server/service/query_service.h"

#include <utility>

#include "server/query/query.h"
#include "server/service/rpc_timer.h"
#include "server/service/watch_reactor.h"

namespace sinkwatch::service {
template <typename Response, typename Query>
grpc::Status QueryServiceImpl::Serve(const char* method, Response* response,
                                     const Query& query) {
  const RpcTimer timer(parts_.metrics, method);
  absl::StatusOr<Response> answer = query();
  if (answer.ok()) *response = *std::move(answer);
  return timer.End(answer.status());
}

grpc::Status QueryServiceImpl::ListRuns(grpc::ServerContext*,
                                        const v1::ListRunsRequest* request,
                                        v1::ListRunsResponse* response) {
  return Serve("QueryService/ListRuns", response, [&] {
    store::PageOptions page;
    if (request->page_size() > 0) page.size = request->page_size();
    page.token = request->page_token();
    auto runs = parts_.store->ListRuns(page);
    if (runs.ok()) {
      for (v1::RunStatus& run : *runs->mutable_runs()) {
        run.set_discovery_error(parts_.discovery_error(run.name()));
      }
    }
    return runs;
  });
}

grpc::Status QueryServiceImpl::ListCheckpoints(
    grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
    v1::ListCheckpointsResponse* response) {
  return Serve("QueryService/ListCheckpoints", response,
               [&] { return parts_.store->ListCheckpoints(*request); });
}

grpc::Status QueryServiceImpl::ListMetrics(
    grpc::ServerContext*, const v1::ListMetricsRequest* request,
    v1::ListMetricsResponse* response) {
  return Serve("QueryService/ListMetrics", response,
               [&] { return parts_.store->ListMetrics(*request); });
}

grpc::Status QueryServiceImpl::GetMeasurement(
    grpc::ServerContext*, const v1::GetMeasurementRequest* request,
    v1::Measurement* response) {
  return Serve("QueryService/GetMeasurement", response,
               [&] { return parts_.store->GetMeasurement(*request); });
}

grpc::Status QueryServiceImpl::QuerySeries(
    grpc::ServerContext*, const v1::QuerySeriesRequest* request,
    v1::QuerySeriesResponse* response) {
  return Serve("QueryService/QuerySeries", response,
               [&] { return query::QuerySeries(*parts_.store, *request); });
}

grpc::Status QueryServiceImpl::QueryMatrix(
    grpc::ServerContext*, const v1::QueryMatrixRequest* request,
    v1::QueryMatrixResponse* response) {
  return Serve("QueryService/QueryMatrix", response,
               [&] { return parts_.store->QueryMatrix(*request); });
}

grpc::Status QueryServiceImpl::GetEmergence(
    grpc::ServerContext*, const v1::GetEmergenceRequest* request,
    v1::GetEmergenceResponse* response) {
  return Serve("QueryService/GetEmergence", response,
               [&] { return query::GetEmergence(*parts_.store, *request); });
}

grpc::ServerWriteReactor<v1::MeasurementEvent>*
QueryServiceImpl::WatchMeasurements(
    grpc::CallbackServerContext*, const v1::WatchMeasurementsRequest* request) {
  return new WatchReactor(
      parts_.feed, request->run(),
      RpcTimer(parts_.metrics, "QueryService/WatchMeasurements"));
}

}  // namespace sinkwatch::service

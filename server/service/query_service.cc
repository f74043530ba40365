#include "server/service/query_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/rpc/status.h"
#include "server/analytics/query.h"
#include "server/service/watch_reactor.h"

namespace sinkwatch::service {
namespace {

constexpr char kService[] = "/sinkwatch.v1.QueryService/";

}  // namespace

template <typename Response, typename Query>
grpc::Status QueryServiceImpl::Serve(const char* method, Response* response,
                                     const Query& query) {
  const absl::Time start = absl::Now();
  absl::StatusOr<Response> answer = query();
  if (answer.ok()) *response = *std::move(answer);
  parts_.metrics->RpcHandled(absl::StrCat(kService, method),
                             static_cast<int>(answer.status().code()),
                             absl::Now() - start);
  return rpc::ToGrpc(answer.status());
}

grpc::Status QueryServiceImpl::ListRuns(grpc::ServerContext*,
                                        const v1::ListRunsRequest* request,
                                        v1::ListRunsResponse* response) {
  return Serve("ListRuns", response, [&] {
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
  return Serve("ListCheckpoints", response,
               [&] { return parts_.store->ListCheckpoints(*request); });
}

grpc::Status QueryServiceImpl::ListMetrics(
    grpc::ServerContext*, const v1::ListMetricsRequest* request,
    v1::ListMetricsResponse* response) {
  return Serve("ListMetrics", response,
               [&] { return parts_.store->ListMetrics(*request); });
}

grpc::Status QueryServiceImpl::GetMeasurement(
    grpc::ServerContext*, const v1::GetMeasurementRequest* request,
    v1::Measurement* response) {
  return Serve("GetMeasurement", response,
               [&] { return parts_.store->GetMeasurement(*request); });
}

grpc::Status QueryServiceImpl::QuerySeries(
    grpc::ServerContext*, const v1::QuerySeriesRequest* request,
    v1::QuerySeriesResponse* response) {
  return Serve("QuerySeries", response,
               [&] { return analytics::QuerySeries(*parts_.store, *request); });
}

grpc::Status QueryServiceImpl::QueryMatrix(
    grpc::ServerContext*, const v1::QueryMatrixRequest* request,
    v1::QueryMatrixResponse* response) {
  return Serve("QueryMatrix", response,
               [&] { return parts_.store->QueryMatrix(*request); });
}

grpc::Status QueryServiceImpl::GetEmergence(
    grpc::ServerContext*, const v1::GetEmergenceRequest* request,
    v1::GetEmergenceResponse* response) {
  return Serve("GetEmergence", response, [&] {
    return analytics::GetEmergence(*parts_.store, *request);
  });
}

grpc::ServerWriteReactor<v1::MeasurementEvent>*
QueryServiceImpl::WatchMeasurements(
    grpc::CallbackServerContext*, const v1::WatchMeasurementsRequest* request) {
  return new WatchReactor(parts_.feed, request->run());
}

}  // namespace sinkwatch::service

#ifndef SINKWATCH_SERVER_CTL_CLIENT_H_
#define SINKWATCH_SERVER_CTL_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "sinkwatch/v1/admin_service.grpc.pb.h"
#include "sinkwatch/v1/analysis_service.grpc.pb.h"
#include "sinkwatch/v1/query_service.grpc.pb.h"

namespace sinkwatch::ctl {

// A server as sinkctl sees it: lists come whole, whatever their pages; errors
// keep the server's code. UNAVAILABLE says which address was tried and what to
// start.
class Client {
 public:
  Client(std::string address, absl::Duration timeout);
  // Of a channel that exists (tests).
  Client(std::string address, absl::Duration timeout,
         std::shared_ptr<grpc::Channel> channel);

  absl::StatusOr<v1::ListRunsResponse> Runs();
  // Newest first; of a `limit` above 0 no more than those.
  absl::StatusOr<v1::ListCheckpointsResponse> Checkpoints(
      v1::ListCheckpointsRequest request, int64_t limit);
  absl::StatusOr<v1::ListMetricsResponse> Metrics(const std::string& run);
  absl::StatusOr<v1::QuerySeriesResponse> Series(
      v1::QuerySeriesRequest request);
  // The answer to a question that has one page.
  template <typename Request, typename Answer>
  absl::StatusOr<Answer> Ask(grpc::Status (v1::QueryService::Stub::*method)(
                                 grpc::ClientContext*, const Request&, Answer*),
                             const Request& request) {
    return Call(query_.get(), method, request);
  }
  template <typename Request, typename Answer>
  absl::StatusOr<Answer> Ask(grpc::Status (v1::AnalysisService::Stub::*method)(
                                 grpc::ClientContext*, const Request&, Answer*),
                             const Request& request) {
    return Call(analysis_.get(), method, request);
  }
  // Calls `event` for each until it returns false or the server ends.
  absl::Status Watch(
      const v1::WatchMeasurementsRequest& request,
      const std::function<bool(const v1::MeasurementEvent&)>& event);

  absl::Status AddRun(const v1::AddRunRequest& request);
  absl::Status RemoveRun(const v1::RemoveRunRequest& request);
  absl::StatusOr<int64_t> Requeue(const v1::RequeueJobsRequest& request);
  absl::Status UpdateRun(const v1::UpdateRunRequest& request);
  absl::StatusOr<v1::ServerConfig> Config();
  absl::StatusOr<v1::ServerVersion> ServerVersion();
  absl::StatusOr<v1::CheckStoreResponse> CheckStore(
      const v1::CheckStoreRequest& request);
  absl::StatusOr<v1::RepairStoreResponse> RepairStore(
      const v1::RepairStoreRequest& request);
  absl::StatusOr<v1::BackupStoreResponse> BackupStore(
      const v1::BackupStoreRequest& request);
  // By grpc.health.v1. UNAVAILABLE unless it serves.
  absl::Status CheckReady();

 private:
  template <typename Stub, typename Request, typename Answer>
  absl::StatusOr<Answer> Call(Stub* stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                           const Request&,
                                                           Answer*),
                              const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout_));
    Answer answer;
    const grpc::Status status = (stub->*method)(&context, request, &answer);
    if (!status.ok()) return ToStatus(status);
    return answer;
  }
  // The `items` of all pages.
  template <typename Request, typename Answer, typename Items>
  absl::StatusOr<Answer> AllPages(
      grpc::Status (v1::QueryService::Stub::*method)(grpc::ClientContext*,
                                                     const Request&, Answer*),
      Request request, Items* (Answer::*items)());
  absl::Status ToStatus(const grpc::Status& status) const;

  const std::string address_;
  const absl::Duration timeout_;
  std::unique_ptr<v1::QueryService::Stub> query_;
  std::unique_ptr<v1::AnalysisService::Stub> analysis_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_CLIENT_H_

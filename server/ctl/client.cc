#include "server/ctl/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "proto/rpc/channel.h"
#include "proto/rpc/connect_hint.h"
#include "proto/rpc/status.h"

namespace sinkwatch::ctl {
namespace {

constexpr int kPage = 500;

}  // namespace

Client::Client(std::string address, absl::Duration timeout)
    : Client(address, timeout, rpc::CreateChannel(address)) {}

Client::Client(std::string address, absl::Duration timeout,
               std::shared_ptr<grpc::Channel> channel)
    : address_(std::move(address)),
      timeout_(timeout),
      query_(v1::QueryService::NewStub(channel)),
      analysis_(v1::AnalysisService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)),
      health_(grpc::health::v1::Health::NewStub(channel)) {}

absl::Status Client::ToStatus(const grpc::Status& status) const {
  const std::string& detail = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return absl::UnavailableError(absl::StrCat(
        "no sinkwatch server answers at ", address_, " (", detail,
        "): ", rpc::ConnectHint(status),
        " Start one with `sinkwatch_server --config=FILE`, or name another "
        "with --server=HOST:PORT"));
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the server at ", address_, " did not answer within ",
        absl::FormatDuration(timeout_), "; allow more with --timeout=SECONDS"));
  }
  return rpc::FromGrpc(status);
}

template <typename Request, typename Answer, typename Items>
absl::StatusOr<Answer> Client::AllPages(
    grpc::Status (v1::QueryService::Stub::*method)(grpc::ClientContext*,
                                                   const Request&, Answer*),
    Request request, Items* (Answer::*items)()) {
  request.set_page_size(kPage);
  Answer all;
  do {
    absl::StatusOr<Answer> page = Call(query_.get(), method, request);
    if (!page.ok()) return page.status();
    (all.*items)()->MergeFrom(*((*page).*items)());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return all;
}

absl::StatusOr<v1::ListRunsResponse> Client::Runs() {
  return AllPages(&v1::QueryService::Stub::ListRuns, v1::ListRunsRequest(),
                  &v1::ListRunsResponse::mutable_runs);
}

absl::StatusOr<v1::ListCheckpointsResponse> Client::Checkpoints(
    v1::ListCheckpointsRequest request, int64_t limit) {
  v1::ListCheckpointsResponse all;
  do {
    const int64_t left = limit - all.checkpoints_size();
    request.set_page_size(static_cast<int32_t>(
        limit > 0 ? std::min<int64_t>(kPage, left) : kPage));
    ASSIGN_OR_RETURN(
        const v1::ListCheckpointsResponse page,
        Call(query_.get(), &v1::QueryService::Stub::ListCheckpoints, request));
    all.mutable_checkpoints()->MergeFrom(page.checkpoints());
    all.set_total(page.total());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() &&
           (limit <= 0 || all.checkpoints_size() < limit));
  return all;
}

absl::StatusOr<v1::ListMetricsResponse> Client::Metrics(
    const std::string& run) {
  v1::ListMetricsRequest request;
  request.set_run(run);
  return AllPages(&v1::QueryService::Stub::ListMetrics, request,
                  &v1::ListMetricsResponse::mutable_metrics);
}

absl::StatusOr<v1::QuerySeriesResponse> Client::Series(
    v1::QuerySeriesRequest request) {
  // Its pages have the same columns.
  absl::StatusOr<v1::QuerySeriesResponse> whole =
      Call(query_.get(), &v1::QueryService::Stub::QuerySeries, request);
  while (whole.ok() && !whole->next_page_token().empty()) {
    request.set_page_token(whole->next_page_token());
    ASSIGN_OR_RETURN(
        const v1::QuerySeriesResponse page,
        Call(query_.get(), &v1::QueryService::Stub::QuerySeries, request));
    whole->mutable_steps()->MergeFrom(page.steps());
    whole->mutable_tokens()->MergeFrom(page.tokens());
    whole->mutable_values()->MergeFrom(page.values());
    whole->mutable_standard_errors()->MergeFrom(page.standard_errors());
    whole->set_next_page_token(page.next_page_token());
  }
  return whole;
}

absl::Status Client::Watch(
    const v1::WatchMeasurementsRequest& request,
    const std::function<bool(const v1::MeasurementEvent&)>& event) {
  grpc::ClientContext context;
  auto reader = query_->WatchMeasurements(&context, request);
  v1::MeasurementEvent next;
  bool wanted = true;
  while (wanted && reader->Read(&next)) wanted = event(next);
  if (!wanted) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!wanted || status.ok()) return absl::OkStatus();
  return ToStatus(status);
}

absl::Status Client::AddRun(const v1::AddRunRequest& request) {
  return Call(admin_.get(), &v1::AdminService::Stub::AddRun, request).status();
}

absl::Status Client::UpdateRun(const v1::UpdateRunRequest& request) {
  return Call(admin_.get(), &v1::AdminService::Stub::UpdateRun, request)
      .status();
}

absl::Status Client::RemoveRun(const v1::RemoveRunRequest& request) {
  return Call(admin_.get(), &v1::AdminService::Stub::RemoveRun, request)
      .status();
}

absl::StatusOr<int64_t> Client::Requeue(const v1::RequeueJobsRequest& request) {
  auto answer =
      Call(admin_.get(), &v1::AdminService::Stub::RequeueJobs, request);
  if (!answer.ok()) return answer.status();
  return answer->requeued();
}

absl::StatusOr<v1::ServerConfig> Client::Config() {
  return Call(admin_.get(), &v1::AdminService::Stub::GetConfig,
              v1::GetConfigRequest());
}

absl::StatusOr<v1::ServerVersion> Client::ServerVersion() {
  return Call(admin_.get(), &v1::AdminService::Stub::GetVersion,
              v1::GetVersionRequest());
}

absl::StatusOr<v1::CheckStoreResponse> Client::CheckStore(
    const v1::CheckStoreRequest& request) {
  return Call(admin_.get(), &v1::AdminService::Stub::CheckStore, request);
}

absl::StatusOr<v1::RepairStoreResponse> Client::RepairStore(
    const v1::RepairStoreRequest& request) {
  return Call(admin_.get(), &v1::AdminService::Stub::RepairStore, request);
}

absl::StatusOr<v1::BackupStoreResponse> Client::BackupStore(
    const v1::BackupStoreRequest& request) {
  return Call(admin_.get(), &v1::AdminService::Stub::BackupStore, request);
}

absl::Status Client::CheckReady() {
  using grpc::health::v1::HealthCheckResponse;
  ASSIGN_OR_RETURN(const HealthCheckResponse answer,
                   Call(health_.get(), &grpc::health::v1::Health::Stub::Check,
                        grpc::health::v1::HealthCheckRequest()));
  if (answer.status() == HealthCheckResponse::SERVING) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the server at ", address_,
                   " is not ready: it starts, ends, or cannot work; "
                   "/-/ready says why"));
}

}  // namespace sinkwatch::ctl

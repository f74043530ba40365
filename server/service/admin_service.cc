#include "server/service/admin_service.h"

#include "absl/strings/str_cat.h"
#include "proto/rpc/status.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {
namespace {

constexpr char kService[] = "/sinkwatch.v1.AdminService/";

}  // namespace

grpc::Status AdminServiceImpl::AddRun(grpc::ServerContext*,
                                      const v1::AddRunRequest* request,
                                      v1::AddRunResponse*) {
  v1::RunConfig run = request->run();
  absl::Status status = parts_.prepare(run);
  if (status.ok()) status = parts_.runs->Add(run);
  return Answer("AddRun", status);
}

grpc::Status AdminServiceImpl::UpdateRun(grpc::ServerContext*,
                                         const v1::UpdateRunRequest* request,
                                         v1::UpdateRunResponse*) {
  v1::RunConfig run = request->run();
  absl::Status status = parts_.prepare(run);
  if (status.ok()) status = parts_.runs->Update(run);
  return Answer("UpdateRun", status);
}

grpc::Status AdminServiceImpl::RemoveRun(grpc::ServerContext*,
                                         const v1::RemoveRunRequest* request,
                                         v1::RemoveRunResponse*) {
  return Answer("RemoveRun", parts_.runs->Remove(request->name()));
}

grpc::Status AdminServiceImpl::RequeueJobs(
    grpc::ServerContext*, const v1::RequeueJobsRequest* request,
    v1::RequeueJobsResponse* response) {
  const auto requeued = parts_.store->Requeue(
      request->run(), {request->steps().begin(), request->steps().end()},
      request->include_vanished());
  if (requeued.ok()) response->set_requeued(*requeued);
  return Answer("RequeueJobs", requeued.status());
}

grpc::Status AdminServiceImpl::GetConfig(grpc::ServerContext*,
                                         const v1::GetConfigRequest*,
                                         v1::ServerConfig* response) {
  *response = parts_.config();
  response->clear_runs();
  for (const v1::RunConfig& run : parts_.runs->All()) {
    *response->add_runs() = run;
  }
  return Answer("GetConfig", absl::OkStatus());
}

grpc::Status AdminServiceImpl::Answer(const char* method,
                                      const absl::Status& status) {
  parts_.metrics->RpcHandled(absl::StrCat(kService, method),
                             static_cast<int>(status.code()),
                             absl::ZeroDuration());
  spdlog::info("admin method={} status={}", method, status.ToString());
  return rpc::ToGrpc(status);
}

}  // namespace sinkwatch::service

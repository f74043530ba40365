#include "server/service/admin_service.h"

#include "server/service/rpc_timer.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {
namespace {

grpc::Status End(const RpcTimer& timer, const char* method,
                 const absl::Status& status) {
  spdlog::info("admin method={} status={}", method, status.ToString());
  return timer.End(status);
}

}  // namespace

grpc::Status AdminServiceImpl::AddRun(grpc::ServerContext*,
                                      const v1::AddRunRequest* request,
                                      v1::AddRunResponse*) {
  const RpcTimer timer(parts_.metrics, "AdminService/AddRun");
  v1::RunConfig run = request->run();
  absl::Status status = parts_.prepare(run);
  if (status.ok()) status = parts_.runs->Add(run);
  return End(timer, "AddRun", status);
}

grpc::Status AdminServiceImpl::UpdateRun(grpc::ServerContext*,
                                         const v1::UpdateRunRequest* request,
                                         v1::UpdateRunResponse*) {
  const RpcTimer timer(parts_.metrics, "AdminService/UpdateRun");
  v1::RunConfig run = request->run();
  absl::Status status = parts_.prepare(run);
  if (status.ok()) status = parts_.runs->Update(run);
  return End(timer, "UpdateRun", status);
}

grpc::Status AdminServiceImpl::RemoveRun(grpc::ServerContext*,
                                         const v1::RemoveRunRequest* request,
                                         v1::RemoveRunResponse*) {
  const RpcTimer timer(parts_.metrics, "AdminService/RemoveRun");
  return End(timer, "RemoveRun", parts_.runs->Remove(request->name()));
}

grpc::Status AdminServiceImpl::RequeueJobs(
    grpc::ServerContext*, const v1::RequeueJobsRequest* request,
    v1::RequeueJobsResponse* response) {
  const RpcTimer timer(parts_.metrics, "AdminService/RequeueJobs");
  absl::Status status = parts_.queries->Run(request->run()).status();
  if (status.ok()) {
    const auto requeued = parts_.store->Requeue(
        request->run(), {request->steps().begin(), request->steps().end()},
        request->include_vanished());
    if (requeued.ok()) response->set_requeued(*requeued);
    status = requeued.status();
  }
  return End(timer, "RequeueJobs", status);
}

grpc::Status AdminServiceImpl::GetConfig(grpc::ServerContext*,
                                         const v1::GetConfigRequest*,
                                         v1::ServerConfig* response) {
  const RpcTimer timer(parts_.metrics, "AdminService/GetConfig");
  *response = parts_.config();
  response->clear_runs();
  for (const v1::RunConfig& run : parts_.runs->All()) {
    *response->add_runs() = run;
  }
  return End(timer, "GetConfig", absl::OkStatus());
}

}  // namespace sinkwatch::service

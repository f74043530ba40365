#include "server/service/admin_service.h"

#include <functional>

#include "absl/strings/escaping.h"
#include "proto/base/status_macros.h"
#include "proto/base/version.h"
#include "server/service/rpc_timer.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {
namespace {

grpc::Status Answer(const RpcTimer& timer, const char* method,
                    const std::function<absl::Status()>& body) {
  return timer.Answer([&] {
    const absl::Status status = body();
    spdlog::info("admin method={} status={}", method,
                 absl::Utf8SafeCEscape(status.ToString()));
    return status;
  });
}

}  // namespace

grpc::Status AdminServiceImpl::AddRun(grpc::ServerContext*,
                                      const v1::AddRunRequest* request,
                                      v1::AddRunResponse*) {
  const RpcTimer timer(parts_.metrics, "AdminService/AddRun");
  return Answer(timer, "AddRun", [&]() -> absl::Status {
    v1::RunConfig run = request->run();
    RETURN_IF_ERROR(parts_.prepare(run, request->allow_missing()));
    return parts_.runs->Add(run);
  });
}

grpc::Status AdminServiceImpl::UpdateRun(grpc::ServerContext*,
                                         const v1::UpdateRunRequest* request,
                                         v1::UpdateRunResponse*) {
  const RpcTimer timer(parts_.metrics, "AdminService/UpdateRun");
  return Answer(timer, "UpdateRun", [&]() -> absl::Status {
    v1::RunConfig run = request->run();
    RETURN_IF_ERROR(parts_.runs->CheckChangeable(run.name()));
    RETURN_IF_ERROR(parts_.prepare(run, request->allow_missing()));
    return parts_.runs->Update(run);
  });
}

grpc::Status AdminServiceImpl::RemoveRun(grpc::ServerContext*,
                                         const v1::RemoveRunRequest* request,
                                         v1::RemoveRunResponse*) {
  const RpcTimer timer(parts_.metrics, "AdminService/RemoveRun");
  return Answer(timer, "RemoveRun",
                [&] { return parts_.runs->Remove(request->name()); });
}

grpc::Status AdminServiceImpl::RequeueJobs(
    grpc::ServerContext*, const v1::RequeueJobsRequest* request,
    v1::RequeueJobsResponse* response) {
  const RpcTimer timer(parts_.metrics, "AdminService/RequeueJobs");
  return Answer(timer, "RequeueJobs", [&]() -> absl::Status {
    RETURN_IF_ERROR(parts_.queries->Run(request->run()).status());
    ASSIGN_OR_RETURN(
        const int64_t requeued,
        parts_.store->Requeue(
            request->run(), {request->steps().begin(), request->steps().end()},
            request->include_vanished()));
    response->set_requeued(requeued);
    return absl::OkStatus();
  });
}

grpc::Status AdminServiceImpl::GetConfig(grpc::ServerContext*,
                                         const v1::GetConfigRequest*,
                                         v1::ServerConfig* response) {
  const RpcTimer timer(parts_.metrics, "AdminService/GetConfig");
  return Answer(timer, "GetConfig", [&] {
    *response = parts_.config();
    response->clear_runs();
    for (const v1::RunConfig& run : parts_.runs->All()) {
      *response->add_runs() = run;
    }
    return absl::OkStatus();
  });
}

grpc::Status AdminServiceImpl::GetVersion(grpc::ServerContext*,
                                          const v1::GetVersionRequest*,
                                          v1::ServerVersion* response) {
  const RpcTimer timer(parts_.metrics, "AdminService/GetVersion");
  response->set_version(base::kVersion);
  response->set_spec_version(base::kSpecVersion);
  return timer.End(absl::OkStatus());
}

}  // namespace sinkwatch::service

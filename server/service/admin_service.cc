#include "server/service/admin_service.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "proto/base/version.h"
#include "server/service/backup_path.h"
#include "server/service/rpc_timer.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {
namespace {

// In one order.
constexpr int kMaxSteps = 10000;

v1::StoreDamage DamageProto(const store::Store::Damage& damage) {
  v1::StoreDamage proto;
  proto.set_run(damage.run);
  proto.set_stage(damage.stage);
  proto.set_step(damage.step);
  proto.set_measurement(damage.measurement);
  proto.set_metric(damage.metric);
  proto.set_domain(damage.domain);
  // The bytes of what is damaged may be in it.
  proto.set_what(base::EscapeBytes(damage.what));
  return proto;
}

}  // namespace

grpc::ServerUnaryReactor* AdminServiceImpl::Answer(
    const char* method, grpc::CallbackServerContext* context,
    const google::protobuf::MessageLite& request,
    google::protobuf::MessageLite& response, CallQueue::Body body) {
  return calls_.Answer(context, request, response,
                       RpcTimer(parts_.metrics, method),
                       [method, body = std::move(body)] {
                         const absl::Status status = base::CatchAll(body);
                         spdlog::info("admin method={} status={}", method,
                                      absl::Utf8SafeCEscape(status.ToString()));
                         return status;
                       });
}

grpc::ServerUnaryReactor* AdminServiceImpl::AddRun(
    grpc::CallbackServerContext* context, const v1::AddRunRequest* request,
    v1::AddRunResponse* response) {
  return Answer(
      "AdminService/AddRun", context, *request, *response,
      [=]() -> absl::Status {
        v1::RunConfig run = request->run();
        RETURN_IF_ERROR(parts_.prepare(run, request->allow_missing()));
        return parts_.runs->Add(run);
      });
}

grpc::ServerUnaryReactor* AdminServiceImpl::UpdateRun(
    grpc::CallbackServerContext* context, const v1::UpdateRunRequest* request,
    v1::UpdateRunResponse* response) {
  return Answer(
      "AdminService/UpdateRun", context, *request, *response,
      [=]() -> absl::Status {
        v1::RunConfig run = request->run();
        RETURN_IF_ERROR(parts_.runs->CheckChangeable(run.name()));
        RETURN_IF_ERROR(parts_.prepare(run, request->allow_missing()));
        return parts_.runs->Update(run);
      });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RemoveRun(
    grpc::CallbackServerContext* context, const v1::RemoveRunRequest* request,
    v1::RemoveRunResponse* response) {
  return Answer("AdminService/RemoveRun", context, *request, *response,
                [=] { return parts_.runs->Remove(request->name()); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RequeueJobs(
    grpc::CallbackServerContext* context, const v1::RequeueJobsRequest* request,
    v1::RequeueJobsResponse* response) {
  return Answer(
      "AdminService/RequeueJobs", context, *request, *response,
      [=]() -> absl::Status {
        RETURN_IF_ERROR(parts_.queries->Run(request->run()).status());
        if (request->steps_size() > kMaxSteps) {
          return absl::InvalidArgumentError(
              absl::StrCat("more than ", kMaxSteps, " steps at once"));
        }
        ASSIGN_OR_RETURN(const int64_t requeued,
                         parts_.store->Requeue(
                             request->run(),
                             {request->steps().begin(), request->steps().end()},
                             request->include_vanished()));
        response->set_requeued(requeued);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* AdminServiceImpl::GetConfig(
    grpc::CallbackServerContext* context, const v1::GetConfigRequest* request,
    v1::ServerConfig* response) {
  return Answer("AdminService/GetConfig", context, *request, *response, [=] {
    *response = parts_.config();
    response->clear_runs();
    for (const v1::RunConfig& run : parts_.runs->All()) {
      *response->add_runs() = run;
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminServiceImpl::GetVersion(
    grpc::CallbackServerContext* context, const v1::GetVersionRequest* request,
    v1::ServerVersion* response) {
  return Answer("AdminService/GetVersion", context, *request, *response, [=] {
    response->set_version(base::kVersion);
    response->set_spec_version(base::kSpecVersion);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* AdminServiceImpl::CheckStore(
    grpc::CallbackServerContext* context, const v1::CheckStoreRequest* request,
    v1::CheckStoreResponse* response) {
  return Answer("AdminService/CheckStore", context, *request, *response,
                [=] { return Check(*request, *response); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::RepairStore(
    grpc::CallbackServerContext* context, const v1::RepairStoreRequest* request,
    v1::RepairStoreResponse* response) {
  return Answer("AdminService/RepairStore", context, *request, *response,
                [=] { return Repair(*response); });
}

grpc::ServerUnaryReactor* AdminServiceImpl::BackupStore(
    grpc::CallbackServerContext* context, const v1::BackupStoreRequest* request,
    v1::BackupStoreResponse* response) {
  return Answer("AdminService/BackupStore", context, *request, *response,
                [=] { return Backup(*request, *response); });
}

absl::StatusOr<std::string> AdminServiceImpl::PathOfBackup(
    const std::string& file) {
  RETURN_IF_ERROR(
      parts_.check_answers(absl::StrCat(parts_.backup_dir, "/", file)));
  return BackupPath(parts_.backup_dir, file);
}

absl::Status AdminServiceImpl::Check(const v1::CheckStoreRequest& request,
                                     v1::CheckStoreResponse& response) {
  ASSIGN_OR_RETURN(const store::Store::CheckReport report,
                   parts_.store->Check());
  response.set_measurements(report.measurements);
  response.set_blobs(report.blobs);
  response.set_total_damage(report.total_damage);
  for (const store::Store::Damage& damage : report.damage) {
    *response.add_damage() = DamageProto(damage);
  }
  if (!request.check_file()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string scratch, PathOfBackup(".check"));
  ASSIGN_OR_RETURN(const auto errors, parts_.store->CheckFile(scratch));
  *response.mutable_file_errors() = {errors.begin(), errors.end()};
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::Repair(v1::RepairStoreResponse& response) {
  ASSIGN_OR_RETURN(const store::Store::RepairReport report,
                   parts_.store->Repair());
  response.set_set_aside(report.set_aside);
  for (const store::Store::Damage& damage : report.mended) {
    *response.add_mended() = DamageProto(damage);
  }
  for (const store::Store::Damage& damage : report.left) {
    *response.add_left() = DamageProto(damage);
  }
  return absl::OkStatus();
}

absl::Status AdminServiceImpl::Backup(const v1::BackupStoreRequest& request,
                                      v1::BackupStoreResponse& response) {
  ASSIGN_OR_RETURN(const std::string path, PathOfBackup(request.file()));
  ASSIGN_OR_RETURN(const store::Store::BackupReport report,
                   parts_.store->Backup(path));
  response.set_path(path);
  response.set_bytes(report.bytes);
  response.set_sha256(report.sha256);
  response.set_measurements(report.measurements);
  return absl::OkStatus();
}

}  // namespace sinkwatch::service

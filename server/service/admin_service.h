#ifndef SINKWATCH_SERVER_SERVICE_ADMIN_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_ADMIN_SERVICE_H_

#include <functional>
#include <string>
#include <utility>

#include "server/query/queries.h"
#include "server/service/call_queue.h"
#include "server/service/run_registry.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/admin_service.grpc.pb.h"

namespace sinkwatch::service {

// AdminService over the run registry and the store, answered on threads of its
// own. Thread-safe. Everything given must outlive it, and it the gRPC server.
class AdminServiceImpl final : public v1::AdminService::CallbackService {
 public:
  struct Parts {
    store::Store* store;
    query::Queries* queries;
    RunRegistry* runs;
    telemetry::ServiceMetrics* metrics;
    // The configuration in force, without runs.
    std::function<v1::ServerConfig()> config;
    // Fills in a run's defaults, and INVALID_ARGUMENT if it cannot be followed.
    std::function<absl::Status(v1::RunConfig&, bool allow_missing)> prepare;
    // Where backups go.
    std::string backup_dir = {};
    // UNAVAILABLE if the file system of a path does not answer.
    std::function<absl::Status(const std::string& path)> check_answers =
        [](const std::string&) { return absl::OkStatus(); };
    CallLimits limits = {};
  };
  explicit AdminServiceImpl(Parts parts)
      : parts_(std::move(parts)), calls_(parts_.limits) {}

  grpc::ServerUnaryReactor* AddRun(grpc::CallbackServerContext* context,
                                   const v1::AddRunRequest* request,
                                   v1::AddRunResponse* response) override;
  grpc::ServerUnaryReactor* UpdateRun(grpc::CallbackServerContext* context,
                                      const v1::UpdateRunRequest* request,
                                      v1::UpdateRunResponse* response) override;
  grpc::ServerUnaryReactor* RemoveRun(grpc::CallbackServerContext* context,
                                      const v1::RemoveRunRequest* request,
                                      v1::RemoveRunResponse* response) override;
  grpc::ServerUnaryReactor* RequeueJobs(
      grpc::CallbackServerContext* context,
      const v1::RequeueJobsRequest* request,
      v1::RequeueJobsResponse* response) override;
  grpc::ServerUnaryReactor* GetConfig(grpc::CallbackServerContext* context,
                                      const v1::GetConfigRequest* request,
                                      v1::ServerConfig* response) override;
  grpc::ServerUnaryReactor* GetVersion(grpc::CallbackServerContext* context,
                                       const v1::GetVersionRequest* request,
                                       v1::ServerVersion* response) override;
  grpc::ServerUnaryReactor* CheckStore(
      grpc::CallbackServerContext* context,
      const v1::CheckStoreRequest* request,
      v1::CheckStoreResponse* response) override;
  grpc::ServerUnaryReactor* RepairStore(
      grpc::CallbackServerContext* context,
      const v1::RepairStoreRequest* request,
      v1::RepairStoreResponse* response) override;
  grpc::ServerUnaryReactor* BackupStore(
      grpc::CallbackServerContext* context,
      const v1::BackupStoreRequest* request,
      v1::BackupStoreResponse* response) override;

 private:
  // Runs a method in its turn, and says in the log how it ended.
  grpc::ServerUnaryReactor* Answer(const char* method,
                                   grpc::CallbackServerContext* context,
                                   const google::protobuf::MessageLite& request,
                                   google::protobuf::MessageLite& response,
                                   CallQueue::Body body);

  // Where a backup of that name goes. Asks the file system only if it answers.
  absl::StatusOr<std::string> PathOfBackup(const std::string& file);
  absl::Status Check(const v1::CheckStoreRequest& request,
                     v1::CheckStoreResponse& response);
  absl::Status Repair(v1::RepairStoreResponse& response);
  absl::Status Backup(const v1::BackupStoreRequest& request,
                      v1::BackupStoreResponse& response);

  const Parts parts_;
  CallQueue calls_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_ADMIN_SERVICE_H_

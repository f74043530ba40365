#ifndef SINKWATCH_SERVER_SERVICE_ADMIN_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_ADMIN_SERVICE_H_

#include <functional>

#include "server/query/queries.h"
#include "server/service/run_registry.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/admin_service.grpc.pb.h"

namespace sinkwatch::service {

// AdminService over the run registry and the store. Thread-safe. Everything
// given must outlive it.
class AdminServiceImpl final : public v1::AdminService::Service {
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
  };
  explicit AdminServiceImpl(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status AddRun(grpc::ServerContext* context,
                      const v1::AddRunRequest* request,
                      v1::AddRunResponse* response) override;
  grpc::Status UpdateRun(grpc::ServerContext* context,
                         const v1::UpdateRunRequest* request,
                         v1::UpdateRunResponse* response) override;
  grpc::Status RemoveRun(grpc::ServerContext* context,
                         const v1::RemoveRunRequest* request,
                         v1::RemoveRunResponse* response) override;
  grpc::Status RequeueJobs(grpc::ServerContext* context,
                           const v1::RequeueJobsRequest* request,
                           v1::RequeueJobsResponse* response) override;
  grpc::Status GetConfig(grpc::ServerContext* context,
                         const v1::GetConfigRequest* request,
                         v1::ServerConfig* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context,
                          const v1::GetVersionRequest* request,
                          v1::ServerVersion* response) override;

 private:
  const Parts parts_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_ADMIN_SERVICE_H_

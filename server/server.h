#ifndef SINKWATCH_SERVER_SERVER_H_
#define SINKWATCH_SERVER_SERVER_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sinkwatch/v1/config.pb.h"

namespace grpc {
class Server;
}

// The parts of a server; each has its header.
namespace sinkwatch::discovery {
class Watcher;
}
namespace sinkwatch::exporter {
class Exporter;
}
namespace sinkwatch::http {
class HttpServer;
class Site;
}  // namespace sinkwatch::http
namespace sinkwatch::net {
class Gate;
}
namespace sinkwatch::query {
class Analyses;
class Queries;
class References;
}  // namespace sinkwatch::query
namespace sinkwatch::references {
class ReferenceShelf;
}
namespace sinkwatch::scheduler {
class Scheduler;
}
namespace sinkwatch::service {
class AdminServiceImpl;
class AnalysisServiceImpl;
class MeasurementFeed;
class QueryServiceImpl;
class RunRegistry;
class WorkerServiceImpl;
}  // namespace sinkwatch::service
namespace sinkwatch::store {
class CommitQueue;
class Store;
}  // namespace sinkwatch::store
namespace sinkwatch::telemetry {
class ServiceMetrics;
}

namespace sinkwatch::server {

class Upkeep;

// Exit code of a process whose gRPC port stopped answering: whoever started it
// is to start it again. What was acknowledged is on disk.
inline constexpr int kExitDeaf = 3;

// A whole sinkwatch server: the parts below, started in the order of the
// members and stopped in reverse. Ready (gRPC health, /-/ready) while the store
// can be written and the gRPC port answers; a store that cannot be opened or a
// port that is taken refuses to start. Ends the process with kExitDeaf if its
// gRPC port has not answered for two minutes.
//
// Thread-safe after Start, but for the destructor.
class Server {
 public:
  // `config` has its defaults and is free of errors. Runs that are added or
  // changed over gRPC lie below one of `allowed_roots`, if there are any.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const v1::ServerConfig& config,
      std::vector<std::string> allowed_roots = {});
  // As Drain(0).
  ~Server();

  int grpc_port() const { return grpc_port_; }
  int http_port() const { return http_port_; }

  // Follows the runs of another configuration. Addresses, data folder, leases
  // and series cap are those of the start; INVALID_ARGUMENT says which of them
  // differ, and nothing is changed.
  absl::Status Reload(const v1::ServerConfig& config);
  // A configuration that could not even be read.
  void CountBadReload();

  // Gives out no more leases and is not ready any more, waits up to `timeout`
  // for leased jobs to be committed, then stops. Only the first call does it:
  // one that comes later, or meanwhile, returns at once.
  void Drain(absl::Duration timeout);

 private:
  Server(v1::ServerConfig config, std::vector<std::string> allowed_roots);

  absl::Status OpenStore();
  absl::Status OpenReferences();
  // What works on the store: exporter, commit queue, scheduler.
  void MakeExporter();
  void StartCommits();
  void MakeScheduler();
  void MakeDiscovery();
  void MakeServices();
  absl::Status StartGrpc();
  void StartUpkeep();
  absl::Status StartHttp();
  absl::Status Readiness() const;
  absl::Status FollowRuns(const v1::ServerConfig& config);
  void OnLook(const std::string& run, const absl::Status& status);
  // Stops exporting what was known of runs that are not followed any more.
  void ForgetOthers(const std::vector<v1::RunConfig>& runs);
  // Jobs that workers hold now.
  int64_t LeasedJobs();

  const v1::ServerConfig config_;
  const std::vector<std::string> allowed_roots_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> stopped_{false};
  int grpc_port_ = 0;
  int http_port_ = 0;

  std::unique_ptr<telemetry::ServiceMetrics> metrics_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::CommitQueue> commits_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<exporter::Exporter> exporter_;
  std::unique_ptr<discovery::Watcher> watcher_;
  std::unique_ptr<query::Queries> queries_;
  std::unique_ptr<query::Analyses> analyses_;
  std::unique_ptr<references::ReferenceShelf> shelf_;
  std::unique_ptr<query::References> references_;
  std::unique_ptr<service::RunRegistry> runs_;
  std::unique_ptr<service::MeasurementFeed> feed_;
  std::unique_ptr<service::WorkerServiceImpl> worker_service_;
  std::unique_ptr<service::QueryServiceImpl> query_service_;
  std::unique_ptr<service::AnalysisServiceImpl> analysis_service_;
  std::unique_ptr<service::AdminServiceImpl> admin_service_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<net::Gate> gate_;
  std::unique_ptr<Upkeep> upkeep_;
  std::unique_ptr<http::Site> site_;
  std::unique_ptr<http::HttpServer> http_;
};

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_SERVER_H_

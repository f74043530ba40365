#include "server/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/message_differencer.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_posix.h"
#include "proto/base/version.h"
#include "proto/rpc/channel.h"
#include "server/config.h"
#include "server/discovery/watcher.h"
#include "server/exporter/exporter.h"
#include "server/http/http_server.h"
#include "server/http/site.h"
#include "server/memory.h"
#include "server/net/gate.h"
#include "server/net/listener.h"
#include "server/net/port_probe.h"
#include "server/query/analyses.h"
#include "server/query/queries.h"
#include "server/query/references.h"
#include "server/references/reference_shelf.h"
#include "server/run_paths.h"
#include "server/scheduler/scheduler.h"
#include "server/service/admin_service.h"
#include "server/service/analysis_service.h"
#include "server/service/measurement_feed.h"
#include "server/service/query_service.h"
#include "server/service/run_registry.h"
#include "server/service/worker_service.h"
#include "server/store/commit_queue.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "server/upkeep.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::server {
namespace {

constexpr char kDatabaseName[] = "sinkwatch.db";
constexpr int64_t kLogBytes = int64_t{8} << 20;
constexpr char kReferencesFolder[] = "references";
constexpr absl::Duration kDrainPoll = absl::Milliseconds(50);
// How long the end waits for looks that are under way.
constexpr absl::Duration kLookPatience = absl::Seconds(1);
constexpr std::chrono::milliseconds kPortPatience(5000);
constexpr std::chrono::minutes kDeafFor(2);
constexpr int kAdminThreads = 2;
// A minute: what a peak took goes back within it.
constexpr int kTidiesBetweenReturns = 6;
// A table of references in a request.
constexpr int64_t kMaxTableBytes = int64_t{1} << 20;

store::LeaseLimits LeaseLimitsOf(const v1::ServerConfig& config) {
  store::LeaseLimits limits;
  limits.ttl = absl::Seconds(config.lease().ttl_seconds());
  limits.stall = absl::Seconds(config.lease().stall_seconds());
  return limits;
}

scheduler::RetryLimits RetryLimitsOf(const v1::ServerConfig& config) {
  scheduler::RetryLimits limits;
  limits.max_attempts = config.lease().max_attempts();
  limits.backoff = absl::Seconds(config.lease().backoff_seconds());
  limits.max_backoff = absl::Seconds(config.lease().max_backoff_seconds());
  return limits;
}

// Debian's soft limit is 1024, and gRPC stops accepting for good once it had
// none left.
void RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void SetServing(grpc::Server& server, bool serving) {
  grpc::HealthCheckServiceInterface* const health =
      server.GetHealthCheckService();
  health->SetServingStatus(serving);
  for (const char* name :
       {"sinkwatch.v1.WorkerService", "sinkwatch.v1.QueryService",
        "sinkwatch.v1.AnalysisService", "sinkwatch.v1.AdminService"}) {
    health->SetServingStatus(name, serving);
  }
}

// An error of the store says which file is meant.
absl::Status WithItsFile(const v1::ServerConfig& config,
                         const absl::Status& status) {
  if (!absl::StartsWith(status.message(), "store: ") ||
      absl::StrContains(status.message(), config.data_dir())) {
    return status;
  }
  return absl::Status(status.code(),
                      absl::StrCat(config.data_dir(), "/", kDatabaseName, ": ",
                                   status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const v1::ServerConfig& config, std::vector<std::string> allowed_roots) {
  RaiseDescriptorLimit();
  std::unique_ptr<Server> server(new Server(config, std::move(allowed_roots)));
  absl::Status status = server->OpenStore();
  if (status.ok()) {
    server->MakeExporter();
    server->StartCommits();
    server->MakeScheduler();
    server->MakeDiscovery();
    status = server->FollowRuns(config);
  }
  if (status.ok()) status = server->OpenReferences();
  if (status.ok()) status = server->exporter_->Start();
  if (status.ok()) status = server->StartGrpc();
  if (status.ok()) server->StartUpkeep();
  if (status.ok()) status = server->StartHttp();
  if (!status.ok()) return WithItsFile(config, status);
  server->metrics_->ConfigReloaded(true, absl::Now());
  server->watcher_->Start();
  server->ready_ = true;
  SetServing(*server->grpc_, server->Readiness().ok());
  return server;
}

Server::Server(v1::ServerConfig config, std::vector<std::string> allowed_roots)
    : config_(std::move(config)),
      allowed_roots_(std::move(allowed_roots)),
      metrics_(std::make_unique<telemetry::ServiceMetrics>(
          telemetry::ServiceMetrics::Build{base::kVersion, ""})),
      feed_(std::make_unique<service::MeasurementFeed>()) {}

Server::~Server() { Drain(absl::ZeroDuration()); }

absl::Status Server::OpenStore() {
  std::error_code error;
  std::filesystem::create_directories(config_.data_dir(), error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data folder ", config_.data_dir(), ": ", error.message()));
  }
  store::StoreOptions options;
  options.path = absl::StrCat(config_.data_dir(), "/", kDatabaseName);
  options.log_bytes = kLogBytes;
  auto store = store::Store::Open(std::move(options));
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  return absl::OkStatus();
}

void Server::MakeExporter() {
  exporter::ExporterOptions exported;
  exported.detail = config_.prometheus().detail();
  exported.max_series = config_.prometheus().max_series();
  exported.metrics = {config_.prometheus().metrics().begin(),
                      config_.prometheus().metrics().end()};
  exported.store_path = absl::StrCat(config_.data_dir(), "/", kDatabaseName);
  exporter_ = std::make_unique<exporter::Exporter>(store_.get(), metrics_.get(),
                                                   exported);
}

void Server::StartCommits() {
  store::CommitQueueOptions commits;
  commits.on_commit = [this](const store::CommitReport& report) {
    if (!report.status.ok()) return metrics_->CommitFailed();
    metrics_->CommitDone(report.time, report.measurements, report.values);
    metrics_->SetStoreRevision(store_->revision());
    exporter_->NotifyCommit();
  };
  commits_ = std::make_unique<store::CommitQueue>(store_.get(), commits);
}

void Server::MakeScheduler() {
  scheduler::SchedulerOptions scheduling;
  scheduling.lease = LeaseLimitsOf(config_);
  scheduling.retry = RetryLimitsOf(config_);
  scheduling.on_expired = [this](const store::JobRecord& job) {
    spdlog::warn("lease ran out job={} run={} step={} worker={}", job.job.id(),
                 job.job.checkpoint().run(), job.job.checkpoint().step(),
                 job.worker);
    metrics_->LeaseExpired();
  };
  scheduler_ = std::make_unique<scheduler::Scheduler>(store_.get(), scheduling);
}

void Server::MakeDiscovery() {
  discovery::WatcherOptions options;
  options.poll = absl::Seconds(config_.poll_seconds());
  options.on_look = [this](const std::string& run, const absl::Status& status) {
    OnLook(run, status);
  };
  options.on_runs = [this](const std::string& parent,
                           const std::vector<v1::RunConfig>& found) {
    return runs_->Found(parent, found);
  };
  options.on_silence = [this](int runs) { metrics_->SetSilentRuns(runs); };
  watcher_ = std::make_unique<discovery::Watcher>(store_.get(), options);
  queries_ = std::make_unique<query::Queries>(
      store_.get(),
      [this](const std::string& run) { return watcher_->ErrorOf(run); },
      [this](v1::RunStatus& run) {
        const discovery::Survey survey = watcher_->SurveyOf(run.name());
        *run.mutable_left_alone() = {survey.left_alone.begin(),
                                     survey.left_alone.end()};
        *run.mutable_notes() = {survey.notes.begin(), survey.notes.end()};
      });
  analyses_ = std::make_unique<query::Analyses>(queries_.get());
  runs_ = std::make_unique<service::RunRegistry>(
      store_.get(),
      [this](const std::vector<v1::RunConfig>& runs) {
        watcher_->SetRuns(runs);
        ForgetOthers(runs);
        exporter_->NotifyCommit();
      },
      config_.max_added_runs());
}

void Server::OnLook(const std::string& run, const absl::Status& status) {
  if (status.ok()) {
    metrics_->DiscoverySucceeded(run, absl::Now());
    std::map<std::string, int64_t> left_alone;
    for (const v1::LeftAlone& entry : watcher_->SurveyOf(run).left_alone) {
      left_alone[entry.kind()] = entry.count();
    }
    metrics_->LeftAlone(run, std::move(left_alone));
  } else {
    metrics_->DiscoveryFailed(run);
  }
  const int busy = static_cast<int>(LeasedJobs());
  metrics_->SetWorkers(busy, worker_service_->IdleWorkers(absl::Now()));
}

void Server::ForgetOthers(const std::vector<v1::RunConfig>& runs) {
  for (const auto& [name, discovery] : metrics_->Discovery()) {
    const bool followed = std::any_of(runs.begin(), runs.end(),
                                      [&name = name](const v1::RunConfig& run) {
                                        return run.name() == name;
                                      });
    if (!followed) metrics_->DiscoveryRemoved(name);
  }
}

absl::Status Server::OpenReferences() {
  auto shelf = references::ReferenceShelf::Open(
      absl::StrCat(config_.data_dir(), "/", kReferencesFolder));
  if (!shelf.ok()) return shelf.status();
  shelf_ = *std::move(shelf);
  references_ =
      std::make_unique<query::References>(queries_.get(), shelf_.get());
  return absl::OkStatus();
}

absl::Status Server::FollowRuns(const v1::ServerConfig& config) {
  return runs_->Configure({config.runs().begin(), config.runs().end()});
}

void Server::MakeServices() {
  worker_service_ = std::make_unique<service::WorkerServiceImpl>(
      service::WorkerServiceImpl::Parts{
          store_.get(), commits_.get(), scheduler_.get(), feed_.get(),
          metrics_.get(), LeaseLimitsOf(config_)});
  service::CallLimits questions;
  questions.threads = config_.grpc().threads();
  query_service_ = std::make_unique<service::QueryServiceImpl>(
      service::QueryServiceImpl::Parts{queries_.get(), feed_.get(),
                                       metrics_.get(), questions});
  questions.max_request_bytes += kMaxTableBytes;
  analysis_service_ = std::make_unique<service::AnalysisServiceImpl>(
      service::AnalysisServiceImpl::Parts{analyses_.get(), references_.get(),
                                          metrics_.get(), questions});
  service::CallLimits orders;
  orders.threads = kAdminThreads;
  admin_service_ = std::make_unique<service::AdminServiceImpl>(
      service::AdminServiceImpl::Parts{
          store_.get(), queries_.get(), runs_.get(), metrics_.get(),
          [this] { return config_; },
          [this](v1::RunConfig& run, bool allow_missing) {
            ApplyDefaults(run);
            absl::Status status = CheckRun(run);
            if (status.ok()) {
              status = CheckAllowed(run, allowed_roots_);
            }
            return status.ok() ? CheckPaths(run, allow_missing) : status;
          },
          config_.backup_dir(), &CheckAnswers, orders});
}

// gRPC listens nowhere: the gate hands it its clients.
absl::Status Server::StartGrpc() {
  MakeServices();
  grpc::EnableDefaultHealthCheckService(true);
  // So that reflection can describe the service, not only list it.
  google::protobuf::LinkMessageReflection<
      grpc::health::v1::HealthCheckRequest>();
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  rpc::SetServerLimits(builder);
  builder.RegisterService(worker_service_.get());
  builder.RegisterService(query_service_.get());
  builder.RegisterService(analysis_service_.get());
  builder.RegisterService(admin_service_.get());
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) return absl::InternalError("gRPC cannot be started");
  SetServing(*grpc_, false);
  net::GateOptions options;
  options.address = config_.grpc_address();
  options.max_connections = config_.grpc().max_connections();
  auto gate = net::Gate::Open(options, [this](int client) {
    grpc::AddInsecureChannelFromFd(grpc_.get(), client);
  });
  if (!gate.ok()) return gate.status();
  gate_ = *std::move(gate);
  grpc_port_ = gate_->port();
  return absl::OkStatus();
}

absl::Status Server::StartHttp() {
  http::SiteOptions site;
  site.version = base::kVersion;
  site.ready = [this] { return Readiness(); };
  site.cors_origin = config_.http().cors_origin();
  site.references = references_.get();
  site_ = std::make_unique<http::Site>(queries_.get(), exporter_.get(), site);
  http::HttpServerOptions options;
  options.address = config_.http_address();
  options.threads = config_.http().threads();
  options.max_connections = config_.http().max_connections();
  options.allowed_hosts = {config_.http().allowed_hosts().begin(),
                           config_.http().allowed_hosts().end()};
  options.urgent = &http::Site::IsUrgent;
  options.on_answer = [this](const http::Request& request, int status,
                             absl::Duration time) {
    metrics_->HttpHandled(http::Site::RouteOf(request), status, time);
  };
  auto http = http::HttpServer::Start(
      options,
      [this](const http::Request& request) { return site_->Handle(request); });
  if (!http.ok()) return http.status();
  http_ = *std::move(http);
  http_port_ = http_->port();
  return absl::OkStatus();
}

void Server::StartUpkeep() {
  UpkeepOptions options;
  const std::string host = net::HostOf(config_.grpc_address());
  UpkeepOptions::Check port;
  port.what = absl::StrCat("the gRPC port ", grpc_port_);
  port.look = [this, host] {
    return net::ProbeHttp2(host, grpc_port_, kPortPatience);
  };
  port.lost_after = kDeafFor;
  UpkeepOptions::Check store;
  store.what = absl::StrCat("the store in ", config_.data_dir());
  store.look = [this] { return store_->CheckWritable(); };
  options.checks = {store, port};
  options.tidy = [this, times = 0, unused = UnusedMemory()]() mutable {
    store_->CheckpointIfIdle().IgnoreError();
    if (++times % kTidiesBetweenReturns == 0) unused.Return();
  };
  options.on_change = [this](const absl::Status& why) {
    SetServing(*grpc_, ready_ && why.ok());
  };
  options.on_lost = [](const absl::Status& why) {
    spdlog::critical("ending for a restart error=\"{}\"", why.ToString());
    spdlog::shutdown();
    std::_Exit(kExitDeaf);
  };
  upkeep_ = std::make_unique<Upkeep>(std::move(options));
}

absl::Status Server::Readiness() const {
  if (!ready_)
    return absl::UnavailableError("the server is starting or ending");
  return upkeep_->Why();
}

absl::Status Server::Reload(const v1::ServerConfig& config) {
  v1::ServerConfig before = config_, after = config;
  before.clear_runs();
  after.clear_runs();
  std::string differences;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  if (!differencer.Compare(before, after)) {
    CountBadReload();
    return absl::InvalidArgumentError(absl::StrCat(
        "only runs can be changed while the server runs; restart it for ",
        absl::StrReplaceAll(absl::StripSuffix(differences, "\n"),
                            {{"\n", ", "}})));
  }
  absl::Status status = FollowRuns(config);
  metrics_->ConfigReloaded(status.ok(), absl::Now());
  return status;
}

void Server::CountBadReload() { metrics_->ConfigReloaded(false, absl::Now()); }

int64_t Server::LeasedJobs() { return store_->CountLeased().value_or(0); }

void Server::Drain(absl::Duration timeout) {
  if (stopped_.exchange(true)) return;
  ready_ = false;
  const auto deadline =
      std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(timeout);
  if (grpc_ != nullptr) {
    SetServing(*grpc_, false);
    worker_service_->Drain();
    while (std::chrono::steady_clock::now() < deadline && LeasedJobs() > 0) {
      std::this_thread::sleep_for(absl::ToChronoMilliseconds(kDrainPoll));
    }
  }
  http_.reset();
  upkeep_.reset();
  if (gate_ != nullptr) gate_->StopAccepting();
  if (grpc_ != nullptr) {
    grpc_->Shutdown(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
    grpc_->Wait();
  }
  gate_.reset();
  if (watcher_ != nullptr) watcher_->Stop(kLookPatience);
  if (exporter_ != nullptr) exporter_->Stop();
  if (commits_ != nullptr) commits_->Stop();
}

}  // namespace sinkwatch::server

#include "server/telemetry/service_metrics.h"

#include <array>
#include <iterator>
#include <utility>

#include "server/telemetry/process_metrics.h"

namespace sinkwatch::telemetry {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

constexpr size_t kMaxMethods = 100;

// Seconds. An RPC here is a map look-up or an fsync: 0.5 ms to 10 s.
const Histogram::BucketBoundaries kSeconds = {
    .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10};

const char* CodeName(int code) {
  static constexpr std::array<const char*, 17> kNames = {"OK",
                                                         "Canceled",
                                                         "Unknown",
                                                         "InvalidArgument",
                                                         "DeadlineExceeded",
                                                         "NotFound",
                                                         "AlreadyExists",
                                                         "PermissionDenied",
                                                         "ResourceExhausted",
                                                         "FailedPrecondition",
                                                         "Aborted",
                                                         "OutOfRange",
                                                         "Unimplemented",
                                                         "Internal",
                                                         "Unavailable",
                                                         "DataLoss",
                                                         "Unauthenticated"};
  return code >= 0 && code < static_cast<int>(kNames.size()) ? kNames[code]
                                                             : "Unknown";
}

const char* LabelOf(AttemptOutcome outcome) {
  switch (outcome) {
    case AttemptOutcome::kOk:
      return "ok";
    case AttemptOutcome::kTransient:
      return "transient";
    case AttemptOutcome::kPermanent:
      return "permanent";
    case AttemptOutcome::kVanished:
      return "vanished";
    case AttemptOutcome::kReleased:
      return "released";
    case AttemptOutcome::kExpired:
      return "expired";
  }
  return "unknown";
}

prometheus::Family<Counter>& Counters(Registry& registry, const char* name,
                                      const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<Gauge>& Gauges(Registry& registry, const char* name,
                                  const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<Histogram>& Histograms(Registry& registry, const char* name,
                                          const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry);
}

}  // namespace

ServiceMetrics::ServiceMetrics(const Build& build) {
  Registry& r = registry_;
  Gauges(r, "sinkwatch_build_info", "Version of the running server; always 1.")
      .Add({{"version", build.version}, {"revision", build.revision}})
      .Set(1);
  rpc_handled_ = &Counters(r, "grpc_server_handled_total",
                           "RPCs finished by the server, by status code.");
  rpc_seconds_ = &Histograms(r, "grpc_server_handling_seconds",
                             "Time from an RPC's start to its end.");
  BuildHttp();
  BuildJobs();
  BuildStore();
  BuildPages();
  discovery_errors_ = &Counters(r, "sinkwatch_discovery_errors_total",
                                "Looks at a run's root that failed.")
                           .Add({});
  silent_runs_ = &Gauges(r, "sinkwatch_discovery_silent_runs",
                         "Runs whose file system has not answered for 10 s.")
                      .Add({});
  reload_ok_ = &Gauges(r, "sinkwatch_config_last_reload_successful",
                       "1 if the last read of the configuration succeeded.")
                    .Add({});
  reload_ok_->Set(1);
  reload_time_ =
      &Gauges(r, "sinkwatch_config_last_reload_success_timestamp_seconds",
              "When the configuration was last read with success.")
           .Add({});
}

void ServiceMetrics::BuildHttp() {
  http_requests_ = &Counters(registry_, "sinkwatch_http_requests_total",
                             "Answers of the HTTP port, by status code.");
  http_seconds_ =
      &Histograms(registry_, "sinkwatch_http_request_duration_seconds",
                  "Time that an answer of the HTTP port took to make.");
}

void ServiceMetrics::BuildJobs() {
  Registry& r = registry_;
  auto& attempts = Counters(r, "sinkwatch_job_attempts_total",
                            "Attempts at a job, by how they ended.");
  for (AttemptOutcome outcome :
       {AttemptOutcome::kOk, AttemptOutcome::kTransient,
        AttemptOutcome::kPermanent, AttemptOutcome::kVanished,
        AttemptOutcome::kReleased, AttemptOutcome::kExpired}) {
    attempts_[outcome] = &attempts.Add({{"outcome", LabelOf(outcome)}});
  }
  leases_ =
      &Counters(r, "sinkwatch_leases_granted_total", "Leases given to workers.")
           .Add({});
  expired_ = &Counters(r, "sinkwatch_lease_expirations_total",
                       "Leases that ran out without a word of their worker.")
                  .Add({});
  fenced_ =
      &Counters(r, "sinkwatch_results_fenced_total",
                "Results, renewals, failures and releases turned away: the "
                "worker had lost its lease.")
           .Add({});
  rejected_ =
      &Counters(r, "sinkwatch_results_mismatch_total",
                "Results turned away as malformed: a part that breaks a rule, "
                "a trailer that does not agree, a stream that ended "
                "before it.")
           .Add({});
  auto& workers =
      Gauges(r, "sinkwatch_workers",
             "Workers now: busy (jobs leased), idle (asked for a job in the "
             "last ten seconds and got none).");
  busy_workers_ = &workers.Add({{"state", "busy"}});
  idle_workers_ = &workers.Add({{"state", "idle"}});
}

void ServiceMetrics::BuildStore() {
  Registry& r = registry_;
  commit_seconds_ =
      &Histograms(r, "sinkwatch_commit_duration_seconds",
                  "Time of a store transaction that was committed, fsync "
                  "included.")
           .Add({}, kSeconds);
  commit_errors_ = &Counters(r, "sinkwatch_commit_errors_total",
                             "Store transactions that failed as a whole.")
                        .Add({});
  measurements_ = &Counters(r, "sinkwatch_measurements_committed_total",
                            "Measurements written to the store.")
                       .Add({});
  values_ = &Counters(r, "sinkwatch_values_committed_total",
                      "Numbers written to the store.")
                 .Add({});
  revision_ = &Gauges(r, "sinkwatch_store_revision",
                      "Commits the store holds; rises with each.")
                   .Add({});
  store_size_ = &Gauges(r, "sinkwatch_store_size_bytes",
                        "Size of the store's files, write-ahead log included.")
                     .Add({});
}

void ServiceMetrics::HttpHandled(const std::string& route, int status,
                                 absl::Duration time) {
  http_requests_->Add({{"route", route}, {"code", std::to_string(status)}})
      .Increment();
  http_seconds_->Add({{"route", route}}, kSeconds)
      .Observe(absl::ToDoubleSeconds(time));
}

void ServiceMetrics::BuildPages() {
  Registry& r = registry_;
  refresh_errors_ = &Counters(r, "sinkwatch_page_refresh_errors_total",
                              "Renders of the metrics page that failed.")
                         .Add({});
  series_ = &Gauges(r, "sinkwatch_page_series",
                    "Series of a metrics page now: shown, or left out.");
  dropped_ = &Counters(r, "sinkwatch_series_dropped_total",
                       "Series left out of a render of /metrics; rises with "
                       "each render that leaves some out.");
  for (const char* reason :
       {"cap", "invalid_name", "conflict", "not_finite", "invalid_label"}) {
    dropped_->Add({{"reason", reason}});
  }
}

ServiceMetrics::Rpc& ServiceMetrics::RpcOf(const std::string& method) {
  auto it = rpcs_.find(method);
  if (it != rpcs_.end()) return it->second;
  if (rpcs_.size() >= kMaxMethods) return rpcs_["other"];
  const size_t slash = method.rfind('/');
  Rpc rpc;
  rpc.method = slash == std::string::npos ? method : method.substr(slash + 1);
  rpc.service = slash == std::string::npos || slash == 0
                    ? "unknown"
                    : method.substr(1, slash - 1);
  rpc.seconds = &rpc_seconds_->Add(
      {{"grpc_service", rpc.service}, {"grpc_method", rpc.method}}, kSeconds);
  return rpcs_.emplace(method, std::move(rpc)).first->second;
}

void ServiceMetrics::RpcHandled(const std::string& method, int code,
                                absl::Duration time) {
  base::MutexLock lock(mutex_);
  Rpc& rpc = RpcOf(method);
  if (rpc.seconds == nullptr) {
    rpc.service = rpc.method = "other";
    rpc.seconds = &rpc_seconds_->Add(
        {{"grpc_service", "other"}, {"grpc_method", "other"}}, kSeconds);
  }
  Counter*& handled = rpc.handled[code];
  if (handled == nullptr) {
    handled = &rpc_handled_->Add({{"grpc_service", rpc.service},
                                  {"grpc_method", rpc.method},
                                  {"grpc_code", CodeName(code)}});
  }
  handled->Increment();
  rpc.seconds->Observe(absl::ToDoubleSeconds(time));
}

void ServiceMetrics::LeaseGranted() { leases_->Increment(); }

void ServiceMetrics::LeaseExpired() {
  expired_->Increment();
  AttemptEnded(AttemptOutcome::kExpired);
}

void ServiceMetrics::AttemptEnded(AttemptOutcome outcome) {
  attempts_.at(outcome)->Increment();
}

void ServiceMetrics::ResultFenced() { fenced_->Increment(); }

void ServiceMetrics::ResultRejected() { rejected_->Increment(); }

void ServiceMetrics::SetWorkers(int busy, int idle) {
  busy_workers_->Set(busy);
  idle_workers_->Set(idle);
}

void ServiceMetrics::CommitDone(absl::Duration time, int measurements,
                                int64_t values) {
  commit_seconds_->Observe(absl::ToDoubleSeconds(time));
  measurements_->Increment(measurements);
  values_->Increment(static_cast<double>(values));
}

void ServiceMetrics::CommitFailed() { commit_errors_->Increment(); }

void ServiceMetrics::SetStoreSize(int64_t bytes) {
  store_size_->Set(static_cast<double>(bytes));
}

void ServiceMetrics::DiscoverySucceeded(const std::string& run,
                                        absl::Time when) {
  base::MutexLock lock(mutex_);
  discovery_[run].last_success = when;
}

void ServiceMetrics::DiscoveryFailed(const std::string& run) {
  discovery_errors_->Increment();
  base::MutexLock lock(mutex_);
  discovery_.try_emplace(run);
}

void ServiceMetrics::LeftAlone(const std::string& run,
                               std::map<std::string, int64_t> by_kind) {
  base::MutexLock lock(mutex_);
  discovery_[run].left_alone = std::move(by_kind);
}

void ServiceMetrics::SetSilentRuns(int runs) { silent_runs_->Set(runs); }

void ServiceMetrics::DiscoveryRemoved(const std::string& run) {
  base::MutexLock lock(mutex_);
  discovery_.erase(run);
}

void ServiceMetrics::ConfigReloaded(bool ok, absl::Time when) {
  reload_ok_->Set(ok ? 1 : 0);
  if (ok) reload_time_->Set(absl::ToDoubleSeconds(when - absl::UnixEpoch()));
}

std::map<std::string, ServiceMetrics::RunDiscovery> ServiceMetrics::Discovery()
    const {
  base::MutexLock lock(mutex_);
  return discovery_;
}

void ServiceMetrics::SetStoreRevision(int64_t revision) {
  revision_->Set(static_cast<double>(revision));
}

void ServiceMetrics::PageRendered(
    const std::string& page, int64_t shown,
    const std::map<std::string, int64_t>& dropped) {
  int64_t left_out = 0;
  for (const auto& [reason, count] : dropped) {
    left_out += count;
    if (page == "default") {
      dropped_->Add({{"reason", reason}}).Increment(static_cast<double>(count));
    }
  }
  series_->Add({{"page", page}, {"state", "shown"}})
      .Set(static_cast<double>(shown));
  series_->Add({{"page", page}, {"state", "dropped"}})
      .Set(static_cast<double>(left_out));
}

void ServiceMetrics::RefreshFailed() { refresh_errors_->Increment(); }

std::vector<prometheus::MetricFamily> ServiceMetrics::Collect() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  std::vector<prometheus::MetricFamily> process = ProcessFamilies();
  families.insert(families.end(), std::make_move_iterator(process.begin()),
                  std::make_move_iterator(process.end()));
  return families;
}

}  // namespace sinkwatch::telemetry

#ifndef SINKWATCH_SERVER_TELEMETRY_SERVICE_METRICS_H_
#define SINKWATCH_SERVER_TELEMETRY_SERVICE_METRICS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_family.h"
#include "prometheus/registry.h"
#include "proto/base/mutex.h"

namespace sinkwatch::telemetry {

// How an attempt of a job ended.
enum class AttemptOutcome {
  kOk,         // measured and committed
  kTransient,  // failed in a way that may pass
  kPermanent,  // corrupt, unsupported
  kVanished,   // the checkpoint was deleted meanwhile
  kReleased,   // handed back by a draining worker
  kExpired,    // the worker fell silent
};

// The service's own counters: what the server did, not what it measured. Every
// family exists from the start with value 0, so a rate can be taken from the
// first scrape on. Labels take values of closed sets only; what is known per
// run goes to the page through Discovery(), which the exporter caps.
//
// Thread-safe. Cheap enough for every RPC (a map look-up and an atomic).
class ServiceMetrics {
 public:
  struct Build {
    std::string version;
    std::string revision;
  };
  explicit ServiceMetrics(const Build& build);

  // --- RPCs ----------------------------------------------------------------
  // One finished RPC. `method` is "/sinkwatch.v1.WorkerService/AcquireLease",
  // `code` a grpc::StatusCode. Methods beyond the first 100 are counted as
  // "other".
  void RpcHandled(const std::string& method, int code, absl::Duration time);

  // One answer of the HTTP port. `route` is of the closed set of routes.
  void HttpHandled(const std::string& route, int status, absl::Duration time);

  // --- jobs ----------------------------------------------------------------
  void LeaseGranted();
  // A lease ran out without a word of its worker (also counts an attempt of
  // outcome kExpired).
  void LeaseExpired();
  void AttemptEnded(AttemptOutcome outcome);
  // A result, renewal, failure or release that was turned away because its
  // worker had lost the lease.
  void ResultFenced();
  // A result that was malformed: a part that breaks a rule, a trailer that does
  // not agree with what came, or a stream that ended before it.
  void ResultRejected();
  // Jobs leased now, and workers that asked for one lately and got none.
  void SetWorkers(int busy, int idle);

  // --- store ---------------------------------------------------------------
  // One transaction that wrote `measurements`, `values` numbers in all; both
  // are 0 where every request was refused or committed before.
  void CommitDone(absl::Duration time, int measurements, int64_t values);
  // A transaction that failed as a whole.
  void CommitFailed();
  // Bytes of the store's files.
  void SetStoreSize(int64_t bytes);

  // --- discovery and configuration -----------------------------------------
  void DiscoverySucceeded(const std::string& run, absl::Time when);
  void DiscoveryFailed(const std::string& run);
  // Entries under the run's root that are no checkpoint, by kind.
  void LeftAlone(const std::string& run,
                 std::map<std::string, int64_t> by_kind);
  // Runs whose file system does not answer.
  void SetSilentRuns(int runs);
  // Forgets a removed run.
  void DiscoveryRemoved(const std::string& run);
  void ConfigReloaded(bool ok, absl::Time when);

  // --- for the exporter ----------------------------------------------------
  struct RunDiscovery {
    absl::Time last_success = absl::InfinitePast();
    std::map<std::string, int64_t> left_alone;  // by kind
  };
  std::map<std::string, RunDiscovery> Discovery() const;
  void SetStoreRevision(int64_t revision);
  // One render of a page: what it shows, and what it left out by reason.
  void PageRendered(const std::string& page, int64_t shown,
                    const std::map<std::string, int64_t>& dropped);
  void RefreshFailed();
  // All families that have a sample, as they stand; process_* among them.
  std::vector<prometheus::MetricFamily> Collect() const;

 private:
  struct Rpc {
    std::string service;
    std::string method;
    prometheus::Histogram* seconds = nullptr;
    std::map<int, prometheus::Counter*> handled;
  };
  void BuildHttp();
  void BuildJobs();
  void BuildStore();
  void BuildPages();
  Rpc& RpcOf(const std::string& method) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>* rpc_handled_;
  prometheus::Family<prometheus::Histogram>* rpc_seconds_;
  prometheus::Family<prometheus::Counter>* http_requests_;
  prometheus::Family<prometheus::Histogram>* http_seconds_;
  prometheus::Family<prometheus::Counter>* dropped_;
  prometheus::Family<prometheus::Gauge>* series_;
  std::map<AttemptOutcome, prometheus::Counter*> attempts_;
  prometheus::Counter* leases_;
  prometheus::Counter* expired_;
  prometheus::Counter* fenced_;
  prometheus::Counter* rejected_;
  prometheus::Gauge* busy_workers_;
  prometheus::Gauge* idle_workers_;
  prometheus::Histogram* commit_seconds_;
  prometheus::Counter* commit_errors_;
  prometheus::Counter* measurements_;
  prometheus::Counter* values_;
  prometheus::Counter* discovery_errors_;
  prometheus::Gauge* silent_runs_;
  prometheus::Gauge* reload_ok_;
  prometheus::Gauge* reload_time_;
  prometheus::Gauge* revision_;
  prometheus::Gauge* store_size_;
  prometheus::Counter* refresh_errors_;

  mutable base::Mutex mutex_;
  std::map<std::string, Rpc> rpcs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, RunDiscovery> discovery_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::telemetry

#endif  // SINKWATCH_SERVER_TELEMETRY_SERVICE_METRICS_H_

#include "server/exporter/measured_store_testing.h"

#include <cstdio>
#include <utility>

#include "absl/time/time.h"

namespace sinkwatch::exporter {

std::unique_ptr<store::Store> MakeStore(const std::string& path) {
  store::StoreOptions options;
  options.path = path;
  options.clock = [] { return absl::FromUnixSeconds(1'700'000'000); };
  auto store = store::Store::Open(options);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return nullptr;
  }
  return *std::move(store);
}

absl::Status Measure(store::Store* store, const std::string& run, int64_t step,
                     const Shape& shape, bool implausible) {
  v1::RunConfig config;
  config.set_name(run);
  config.set_root("/checkpoints/" + run);
  config.set_probe("/probes/stories");
  store::Observation seen;
  seen.checkpoint = MakeCheckpoint(run, step);
  seen.probe = MakeProbe();
  seen.state = v1::JOB_STATE_QUEUED;
  if (absl::Status s = store->PutRun(config); !s.ok()) return s;
  if (absl::Status s = store->Observe({seen}); !s.ok()) return s;
  const auto jobs = store->LeasableAround(run, step, step);
  if (!jobs.ok()) return jobs.status();
  for (const store::JobRecord& job : *jobs) {
    if (job.job.checkpoint().step() != step) continue;
    auto lease = store->Lease(job.job.id(), "test", store::LeaseLimits(), 5);
    if (!lease.ok()) return lease.status();
    store::Store::CommitRequest request;
    request.job_id = job.job.id();
    request.token = lease->token;
    request.measurement = MakeMeasurement(run, step, shape);
    request.measurement.set_implausible(implausible);
    return store->Commit({request})[0].status();
  }
  return absl::NotFoundError("the job is not leasable");
}

}  // namespace sinkwatch::exporter

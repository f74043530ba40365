// What the pages cost in memory and time as runs and values grow: a store with
// RUNS runs of LAYERS x HEADS x METRICS x DOMAINS values each, both pages, and
// a commit. A line of a table, for server/README.md:
//   growth_benchmark RUNS LAYERS HEADS METRICS DOMAINS
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/exporter/exporter.h"
#include "server/store/store_testing.h"

namespace sinkwatch::exporter {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kHeadlines = 7;  // as many as the worker marks

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Resident memory and its peak.
struct Memory {
  long now_mib = 0;
  long peak_mib = 0;
};
Memory MemoryNow() {
  Memory memory;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    long kibibytes = 0;
    if (word == "VmRSS:" && status >> kibibytes)
      memory.now_mib = kibibytes >> 10;
    if (word == "VmHWM:" && status >> kibibytes)
      memory.peak_mib = kibibytes >> 10;
  }
  return memory;
}

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

// Observes, leases and commits a step of a run.
void Measure(store::Store& store, const std::string& run, int64_t step,
             const store::Shape& shape) {
  store::Observation seen = store::Seen(step);
  seen.checkpoint.set_run(run);
  Must(store.Observe({seen}));
  const auto jobs = store.LeasableAround(run, step, step);
  Must(jobs.status());
  const auto lease =
      store.Lease(jobs->at(0).job.id(), "w", store::LeaseLimits(), 5);
  Must(lease.status());
  store::Store::CommitRequest request;
  request.job_id = lease->job.id();
  request.token = lease->token;
  request.measurement = store::MeasurementOf(lease->job, 0.5f, shape);
  auto& metrics = *request.measurement.mutable_header()->mutable_metrics();
  for (int m = 0; m < std::min(kHeadlines, metrics.size()); ++m) {
    metrics[m].set_headline(true);
  }
  Must(store.Commit({request})[0].status());
}

// The longest time that a lease's first question takes, asked until `ended`.
double LongestWait(store::Store& store, const std::atomic<bool>& ended) {
  double longest = 0;
  while (!ended) {
    const auto start = Clock::now();
    Must(store.LeasableRuns().status());
    longest = std::max(longest, Since(start));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return longest;
}

int Run(int runs, const store::Shape& shape) {
  const fs::path folder =
      fs::temp_directory_path() / absl::StrCat("growth.", getpid());
  fs::create_directories(folder);
  const std::string path = folder / "sinkwatch.db";
  {
    store::StoreOptions options;
    options.path = path;
    auto store = store::Store::Open(options);
    Must(store.status());
    for (int run = 0; run < runs; ++run) {
      v1::RunConfig config;
      config.set_name(absl::StrCat("run", run));
      Must((*store)->PutRun(config));
      Measure(**store, config.name(), 1000, shape);
    }
  }
  malloc_trim(0);
  store::StoreOptions options;
  options.path = path;
  auto store = store::Store::Open(options);
  Must(store.status());
  telemetry::ServiceMetrics metrics{telemetry::ServiceMetrics::Build{}};
  Exporter exporter(store->get(), &metrics, ExporterOptions());
  const auto first = Clock::now();
  Must(exporter.Refresh());
  const double first_seconds = Since(first);
  const Memory before = MemoryNow();
  const auto heads = Clock::now();
  exporter.Heads(/*gzip=*/true);
  const double heads_seconds = Since(heads);
  const Memory after = MemoryNow();
  Measure(**store, "run0", 2000, shape);
  std::atomic<bool> ended{false};
  double longest = 0;
  std::thread leases([&] { longest = LongestWait(**store, ended); });
  const auto commit = Clock::now();
  Must(exporter.Refresh());
  const double commit_seconds = Since(commit);
  ended = true;
  leases.join();
  std::printf(
      "| %d x %d | %.2f s | %ld MB | %ld MB | %.2f s | %.3f s | %.3f s |\n",
      runs, shape.layers * shape.heads * shape.metrics * shape.domains,
      first_seconds, before.now_mib, after.now_mib, heads_seconds,
      commit_seconds, longest);
  fs::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace sinkwatch::exporter

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "growth_benchmark RUNS LAYERS HEADS METRICS DOMAINS\n");
    return 2;
  }
  sinkwatch::store::Shape shape;
  shape.layers = std::atoi(argv[2]);
  shape.heads = std::atoi(argv[3]);
  shape.metrics = std::atoi(argv[4]);
  shape.domains = std::atoi(argv[5]);
  mallopt(M_ARENA_MAX, 2);
  return sinkwatch::exporter::Run(std::atoi(argv[1]), shape);
}

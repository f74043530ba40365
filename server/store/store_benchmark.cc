// How fast measurements reach the disk and come back as series, beside one row
// per value in the same engine with the same durability.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

constexpr Shape kShape{16, 16, 40, 3};
constexpr int kValues = 16 * 16 * 40 * 3;

std::string FreshFile(const std::string& path) {
  for (const char* end : {"", "-wal", "-shm"}) {
    std::remove((path + end).c_str());
  }
  return path;
}

JobRecord LeaseStep(TestStore& store, int64_t step) {
  store->Observe({Seen(step)}).IgnoreError();
  const auto jobs = store->LeasableAround("toy").value();
  return store->Lease(jobs[0].job.id(), "w", {}, 5).value();
}

// range(0): measurements in one transaction.
void GroupCommit(benchmark::State& state) {
  TestStore store(FreshFile("store_benchmark.db"));
  int64_t step = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Store::CommitRequest> requests;
    for (int i = 0; i < state.range(0); ++i) {
      const JobRecord job = LeaseStep(store, step++);
      requests.push_back(
          {job.job.id(), job.token, MeasurementOf(job.job, 1, kShape)});
    }
    state.ResumeTiming();
    for (const auto& result : store->Commit(requests)) {
      if (!result.ok()) state.SkipWithError("commit failed");
    }
  }
  state.counters["values/s"] = benchmark::Counter(
      static_cast<double>(step) * kValues, benchmark::Counter::kIsRate);
}
BENCHMARK(GroupCommit)->Arg(1)->Arg(8)->Arg(32)->UseRealTime();

void RowPerValue(benchmark::State& state) {
  sqlite3* database = nullptr;
  sqlite3_open(FreshFile("row_benchmark.db").c_str(), &database);
  sqlite3_exec(database,
               "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
               "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536;"
               "CREATE TABLE value (metric TEXT, domain TEXT, layer INT, head "
               "INT, step INT, value REAL, error REAL, PRIMARY KEY (metric, "
               "domain, layer, head, step)) WITHOUT ROWID",
               nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO value VALUES (?, ?, ?, ?, ?, ?, ?)",
                     -1, &insert, nullptr);
  int64_t step = 0;
  for (auto _ : state) {
    sqlite3_exec(database, "BEGIN", nullptr, nullptr, nullptr);
    for (int i = 0; i < kValues; ++i) {
      const std::string metric = "metric" + std::to_string(i / 768);
      const std::string domain = "domain" + std::to_string(i / 256 % 3);
      sqlite3_bind_text(insert, 1, metric.data(), -1, SQLITE_TRANSIENT);
      sqlite3_bind_text(insert, 2, domain.data(), -1, SQLITE_TRANSIENT);
      sqlite3_bind_int(insert, 3, i / 16 % 16);
      sqlite3_bind_int(insert, 4, i % 16);
      sqlite3_bind_int64(insert, 5, step);
      sqlite3_bind_double(insert, 6, i);
      sqlite3_bind_double(insert, 7, 0.5);
      if (sqlite3_step(insert) != SQLITE_DONE) state.SkipWithError("insert");
      sqlite3_reset(insert);
    }
    sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
    ++step;
  }
  state.counters["values/s"] = benchmark::Counter(
      static_cast<double>(step) * kValues, benchmark::Counter::kIsRate);
  sqlite3_finalize(insert);
  sqlite3_close(database);
}
BENCHMARK(RowPerValue)->UseRealTime();

// range(0): layers and heads of a layer; range(1): steps; range(2): 1 for one
// head, else all of them.
void SeriesOfHeads(benchmark::State& state) {
  TestStore store(FreshFile("series_benchmark.db"));
  const int size = static_cast<int>(state.range(0));
  const Shape shape{size, size, 4, 3};
  for (int64_t step = 0; step < state.range(1); ++step) {
    const JobRecord job = LeaseStep(store, step);
    if (!store
             ->Commit({{job.job.id(), job.token,
                        MeasurementOf(job.job, 1, shape)}})[0]
             .ok()) {
      state.SkipWithError("commit failed");
    }
  }
  SeriesQuery query;
  query.run = "toy";
  query.metric = "metric1";
  query.domain = "domain1";
  if (state.range(2) == 1) {
    query.layers = {3};
    query.heads = {5};
  }
  for (auto _ : state) {
    const auto series = store->ReadSeries(query);
    if (!series.ok() ||
        static_cast<int64_t>(series->steps.size()) != state.range(1)) {
      state.SkipWithError("query failed");
    }
  }
}
BENCHMARK(SeriesOfHeads)
    ->Args({16, 1000, 1})
    ->Args({16, 1000, 0})
    ->Args({32, 300, 0})
    ->Unit(benchmark::kMillisecond);

std::vector<Observation> ManySeen(int64_t count) {
  std::vector<Observation> seen;
  for (int64_t step = 0; step < count; ++step) seen.push_back(Seen(step));
  return seen;
}

// range(0): new checkpoints that one look finds, while a worker leases and
// renews without a pause.
void FirstLook(benchmark::State& state) {
  const std::vector<Observation> seen = ManySeen(state.range(0));
  double longest = 0;
  for (auto _ : state) {
    TestStore store(FreshFile("look_benchmark.db"));
    std::atomic<bool> over{false};
    std::thread worker([&] {
      while (!over) {
        const absl::Time start = absl::Now();
        const auto runs = store->LeasableRuns();
        if (!runs.ok() || runs->empty()) continue;
        const auto jobs = store->LeasableAround(runs->front());
        if (!jobs.ok() || jobs->empty()) continue;
        store->Lease(jobs->front().job.id(), "w", {}, 5).IgnoreError();
        longest =
            std::max(longest, absl::ToDoubleMilliseconds(absl::Now() - start));
        absl::SleepFor(absl::Milliseconds(5));
      }
    });
    if (!store->Observe(seen).ok()) state.SkipWithError("observe failed");
    over = true;
    worker.join();
  }
  state.counters["longest_lease_ms"] = longest;
}
BENCHMARK(FirstLook)
    ->Arg(20000)
    ->Arg(50000)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// What the scheduler asks for one lease; range(0): jobs that are queued.
void LeaseOfQueue(benchmark::State& state) {
  TestStore store(FreshFile("queue_benchmark.db"));
  store->Observe(ManySeen(state.range(0))).IgnoreError();
  for (auto _ : state) {
    const auto runs = store->LeasableRuns().value();
    const auto ends = store->LeasableAround(runs[0]).value();
    const auto near = store->LeasableAround(runs[0], 200, 200).value();
    if (!store->Lease(near[0].job.id(), "w", {}, 5).ok()) {
      state.SkipWithError("lease failed");
    }
  }
}
BENCHMARK(LeaseOfQueue)
    ->Arg(500)
    ->Arg(50000)
    ->Iterations(200)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sinkwatch::store

BENCHMARK_MAIN();

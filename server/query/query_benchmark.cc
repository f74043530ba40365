// How long the questions of a page take, as the server answers them.
#include <cstdio>
#include <memory>
#include <string>

#include "benchmark/benchmark.h"
#include "server/query/analyses.h"
#include "server/query/planted_runs_testing.h"
#include "server/query/queries.h"
#include "server/store/store_testing.h"

namespace sinkwatch::query {
namespace {

constexpr char kFile[] = "query_benchmark.db";

void Remove() {
  for (const char* end : {"", "-wal", "-shm"}) {
    std::remove((std::string(kFile) + end).c_str());
  }
}

void Follow(store::Store& store, const std::string& run) {
  v1::RunConfig config;
  config.set_name(run);
  store.PutRun(config).IgnoreError();
}

// Run "toy": `size` layers of `size` heads over `steps` steps.
std::unique_ptr<store::TestStore> Measured(int size, int64_t steps) {
  Remove();
  auto store = std::make_unique<store::TestStore>(kFile);
  Follow(**store, "toy");
  for (int64_t step = 0; step < steps; ++step) {
    (*store)->Observe({store::Seen(step)}).IgnoreError();
    const int64_t job = store::JobOfStep(**store, step);
    const auto lease = (*store)->Lease(job, "w", {}, 5).value();
    (*store)
        ->Commit({{job, lease.token,
                   store::MeasurementOf(lease.job, 1, {size, size, 4, 3})}})[0]
        .status()
        .IgnoreError();
  }
  return store;
}

v1::QuerySeriesRequest AllHeads() {
  v1::QuerySeriesRequest request;
  request.mutable_selector()->set_run("toy");
  request.mutable_selector()->set_metric("metric1");
  request.mutable_selector()->set_domain("domain1");
  return request;
}

void Ask(benchmark::State& state, store::Store* store,
         const v1::QuerySeriesRequest& request, int steps) {
  Queries queries(store, nullptr);
  for (auto _ : state) {
    const auto series = queries.Series(request);
    if (!series.ok() || series->total_steps() != steps) {
      state.SkipWithError("query failed");
    }
  }
}

void OneHeadOfThousandSteps(benchmark::State& state) {
  const auto store = Measured(16, 1000);
  v1::QuerySeriesRequest request = AllHeads();
  request.mutable_selector()->add_layers(3);
  request.mutable_selector()->add_heads(5);
  Ask(state, &**store, request, 1000);
}
BENCHMARK(OneHeadOfThousandSteps)->Unit(benchmark::kMillisecond);

void AllHeadsOfThousandSteps(benchmark::State& state) {
  const auto store = Measured(16, 1000);
  Ask(state, &**store, AllHeads(), 1000);
}
BENCHMARK(AllHeadsOfThousandSteps)->Unit(benchmark::kMillisecond);

// A model of 32 layers of 32 heads.
void AllHeadsOf7B(benchmark::State& state) {
  const auto store = Measured(32, 300);
  Ask(state, &**store, AllHeads(), 300);
}
BENCHMARK(AllHeadsOf7B)->Unit(benchmark::kMillisecond);

void BandOf7B(benchmark::State& state) {
  const auto store = Measured(32, 300);
  v1::QuerySeriesRequest request = AllHeads();
  request.mutable_selector()->set_aggregation(v1::AGGREGATION_BAND);
  request.mutable_selector()->set_across_layers(true);
  Ask(state, &**store, request, 300);
}
BENCHMARK(BandOf7B)->Unit(benchmark::kMillisecond);

store::TestStore& PairOf7B() {
  static auto* const store = [] {
    Remove();
    auto* made = new store::TestStore(kFile);
    PlantPair(**made).IgnoreError();
    return made;
  }();
  return *store;
}

template <typename Request, typename Response>
void Analyse(benchmark::State& state,
             absl::StatusOr<Response> (Analyses::*question)(const Request&),
             const Request& request) {
  Queries queries(&*PairOf7B(), nullptr);
  Analyses analyses(&queries);
  for (auto _ : state) {
    if (!(analyses.*question)(request).ok()) {
      state.SkipWithError("query failed");
    }
  }
}

void SummaryOf7B(benchmark::State& state) {
  v1::SummarizeRequest request;
  request.set_run("late");
  Analyse(state, &Analyses::Summary, request);
}
BENCHMARK(SummaryOf7B)->Unit(benchmark::kMillisecond);

void ComparisonOf7B(benchmark::State& state) {
  v1::CompareRunsRequest request;
  request.add_runs("late");
  request.add_runs("early");
  Analyse(state, &Analyses::Comparison, request);
}
BENCHMARK(ComparisonOf7B)->Unit(benchmark::kMillisecond);

void JumpsOf7B(benchmark::State& state) {
  v1::FindJumpsRequest request;
  request.mutable_selector()->set_run("late");
  request.mutable_selector()->set_metric("sink_attention");
  Analyse(state, &Analyses::Jumps, request);
}
BENCHMARK(JumpsOf7B)->Unit(benchmark::kMillisecond);

void DomainsOf7B(benchmark::State& state) {
  v1::CompareDomainsRequest request;
  request.set_run("late");
  request.set_first_domain("wiki");
  request.set_second_domain("code");
  Analyse(state, &Analyses::Domains, request);
}
BENCHMARK(DomainsOf7B)->Unit(benchmark::kMillisecond);

void StatesOf7B(benchmark::State& state) {
  v1::GetStatesRequest request;
  request.set_run("late");
  Analyse(state, &Analyses::States, request);
}
BENCHMARK(StatesOf7B)->Unit(benchmark::kMillisecond);

// range(0): runs of 300 checkpoints each.
void NewestCheckpoint(benchmark::State& state) {
  Remove();
  store::TestStore store(kFile);
  for (int64_t run = 0; run < state.range(0); ++run) {
    std::vector<store::Observation> seen;
    for (int64_t step = 0; step < 300; ++step) {
      seen.push_back(store::Seen(step));
      seen.back().checkpoint.set_run("run" + std::to_string(run));
    }
    Follow(*store, "run" + std::to_string(run));
    store->Observe(seen).IgnoreError();
  }
  Queries queries(&*store, nullptr);
  v1::ListCheckpointsRequest request;
  request.set_run("run0");
  request.set_page_size(1);
  for (auto _ : state) {
    const auto list = queries.Checkpoints(request);
    if (!list.ok() || list->total() != 300) {
      state.SkipWithError("query failed");
    }
  }
}
BENCHMARK(NewestCheckpoint)->Arg(1)->Arg(300)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sinkwatch::query

BENCHMARK_MAIN();

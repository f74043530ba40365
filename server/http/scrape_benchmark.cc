// What a scrape of the default page costs while measurements arrive, and what
// prometheus-cpp's own way (a gauge per series, collected and serialised at the
// scrape) costs for the same series.
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/exporter/exporter.h"
#include "server/exporter/measured_store_testing.h"
#include "server/http/http_client_testing.h"
#include "server/http/http_server.h"
#include "server/http/site.h"
#include "server/query/queries.h"

namespace sinkwatch::http {
namespace {

using exporter::Exporter;
using exporter::ExporterOptions;
using exporter::MakeStore;
using exporter::Measure;
using exporter::Shape;
using Milliseconds = std::chrono::duration<double, std::milli>;

// 32 layers x 32 heads with 5 metrics: 336 series of the default page a run.
Shape BigShape() {
  Shape shape;
  shape.layers = 32;
  shape.heads = 32;
  shape.kv_heads = 8;
  return shape;
}

void ReportQuantiles(std::vector<double> times, benchmark::State& state) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double q) {
    return times[static_cast<size_t>(q * (times.size() - 1))];
  };
  state.counters["p50_ms"] = at(.5);
  state.counters["p99_ms"] = at(.99);
  state.counters["max_ms"] = times.back();
}

// In a file, so that commits wait for the disk as they do in service.
std::unique_ptr<store::Store> FullStore(int64_t runs) {
  std::string folder =
      (std::filesystem::temp_directory_path() / "sinkwatch-bench-XXXXXX")
          .string();
  if (mkdtemp(folder.data()) == nullptr) return nullptr;
  auto store = MakeStore(folder + "/store.db");
  for (int64_t r = 0; r < runs; ++r) {
    if (!Measure(store.get(), absl::StrCat("run", r), 1, BigShape()).ok()) {
      return nullptr;
    }
  }
  return store;
}

// Scrapes over a socket, with gzip (range(0) = 1) or without, of range(1) runs,
// while a thread commits measurements as fast as the store takes them.
void BM_ScrapeWhileIngesting(benchmark::State& state) {
  const int64_t runs = state.range(1);
  auto store = FullStore(runs);
  telemetry::ServiceMetrics metrics({"bench", "bench"});
  if (store == nullptr) return state.SkipWithError("no store");
  Exporter exporter(store.get(), &metrics, ExporterOptions());
  if (!exporter.Start().ok()) return state.SkipWithError("no exporter");
  query::Queries queries(store.get(), nullptr);
  Site site(&queries, &exporter, SiteOptions());
  HttpServerOptions options;
  options.address = "127.0.0.1:0";
  auto server = HttpServer::Start(
      options, [&](const Request& r) { return site.Handle(r); });
  if (!server.ok()) return state.SkipWithError("no server");

  std::atomic<bool> stop = false;
  std::atomic<int64_t> commits = 0;
  std::thread writer([&] {
    for (int64_t step = 2; !stop; ++step) {
      const std::string run = absl::StrCat("run", step % runs);
      if (!Measure(store.get(), run, step, BigShape()).ok()) return;
      exporter.NotifyCommit();
      ++commits;
    }
  });
  std::vector<std::string> headers;
  if (state.range(0) == 1) headers.push_back("Accept-Encoding: gzip");
  std::vector<double> times;
  size_t bytes = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    bytes = Fetch((*server)->port(), "/metrics", headers).body.size();
    times.push_back(
        Milliseconds(std::chrono::steady_clock::now() - start).count());
  }
  stop = true;
  writer.join();
  ReportQuantiles(std::move(times), state);
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["commits"] = static_cast<double>(commits);
}
BENCHMARK(BM_ScrapeWhileIngesting)
    ->ArgNames({"gzip", "runs"})
    ->Args({0, 20})
    ->Args({1, 20})
    ->Args({0, 60})
    ->Args({1, 60})
    ->Iterations(2000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// The same number of series as gauges of prometheus-cpp, without a socket and
// without anything else going on.
void BM_PrometheusCppScrape(benchmark::State& state) {
  prometheus::Registry registry;
  auto& family = prometheus::BuildGauge()
                     .Name("sinkwatch_sink_attention_ratio")
                     .Help("The same series.")
                     .Register(registry);
  for (int64_t i = 0; i < state.range(0); ++i) {
    family
        .Add({{"run", absl::StrCat("run", i % 20)},
              {"domain", "wiki"},
              {"layer", absl::StrCat(i)},
              {"quantile", "0.5"}})
        .Set(.123456789);
  }
  std::vector<double> times;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, registry.Collect());
    benchmark::DoNotOptimize(out.str().size());
    times.push_back(
        Milliseconds(std::chrono::steady_clock::now() - start).count());
  }
  ReportQuantiles(std::move(times), state);
}
BENCHMARK(BM_PrometheusCppScrape)
    ->Arg(6720)
    ->Arg(20000)
    ->Iterations(300)
    ->Unit(benchmark::kMillisecond);

// What the exporter's thread does when something was committed.
void BM_Refresh(benchmark::State& state) {
  auto store = FullStore(20);
  if (store == nullptr) return state.SkipWithError("no store");
  telemetry::ServiceMetrics metrics({"bench", "bench"});
  Exporter exporter(store.get(), &metrics, ExporterOptions());
  int64_t step = 1'000'000;
  for (auto _ : state) {
    state.PauseTiming();
    if (!Measure(store.get(), "run0", step++, BigShape()).ok()) break;
    state.ResumeTiming();
    if (!exporter.Refresh().ok()) break;
  }
}
BENCHMARK(BM_Refresh)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sinkwatch::http

BENCHMARK_MAIN();

// fill_store DATA_DIR: a store as a few weeks of training leave it, for tests
// that look at a server from outside (a browser, Prometheus). The runs:
//   aaa-empty  no checkpoint yet
//   dense      32 x 32 heads, 1,500 checkpoints, one metric
//   long       2,500 checkpoints, of which the last ten are measured
//   one        32 x 32 heads, 1 checkpoint
//   wide       32 x 32 heads, 300 checkpoints, two domains; measured last
// The sinks of "wide" emerge near step 1,200: each head's attention on key 0
// is below .02 at its first checkpoint and above .5 in most heads at its last.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/exporter/measurement_testing.h"
#include "server/store/store.h"

namespace sinkwatch::http::ui {
namespace {

using exporter::AddVector;
using exporter::Describe;

constexpr int kLayers = 32;
constexpr int kHeads = 32;
constexpr size_t kCommitsPerGroup = 50;

struct Run {
  std::string name;
  std::vector<int64_t> steps;
  size_t unmeasured = 0;  // the first so many only wait in the queue
  std::vector<std::string> domains;
  bool all_metrics = false;
  absl::Time measured;
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// In [0, 1), the same on every machine.
double Spread(int layer, int head) {
  return std::fmod(std::sin(layer * 12.9898 + head * 78.233) * 43758.5453 + 1e5,
                   1.0);
}

float SinkAttention(int layer, int head, int64_t step, bool second_domain) {
  const double spread = Spread(layer, head);
  double most = spread < .72 ? .6 + .35 * spread : .2 * spread;
  if (layer < 2) most = .02;
  if (second_domain) most *= .9;
  const double middle = std::log(1200.0) + .5 * (spread - .5) + .02 * layer;
  return static_cast<float>(
      most * Sigmoid((std::log1p(static_cast<double>(step)) - middle) / .22));
}

void AddDomain(const Run& run, const std::string& domain, bool second,
               int64_t step, v1::Measurement* m) {
  for (int layer = 0; layer < kLayers; ++layer) {
    auto* sink = AddVector(domain, "sink_attention", layer, kHeads, m);
    for (int head = 0; head < kHeads; ++head) {
      sink->set_values(head, SinkAttention(layer, head, step, second));
    }
    if (!run.all_metrics) continue;
    auto* drain = AddVector(domain, "value_norm_ratio", layer, kHeads, m);
    for (int head = 0; head < kHeads; ++head) {
      drain->set_values(head, 1.05f - sink->values(head));
    }
    const double peak = Sigmoid(
        (std::log1p(static_cast<double>(step)) - std::log(4000.0)) / .12);
    AddVector(domain, "residual_norm_ratio", layer, 1, m)
        ->set_values(0, layer < 2 ? 1.f : static_cast<float>(1 + 55 * peak));
  }
  if (run.all_metrics) {
    AddVector(domain, "probe_loss", -2, 1, m)->set_values(0, 2.5f);
  }
}

v1::Measurement MakeMeasurement(const Run& run,
                                const v1::Checkpoint& checkpoint) {
  v1::Measurement m = exporter::MakeEmptyMeasurement(
      checkpoint, {kLayers, kHeads, /*kv_heads=*/kHeads});
  m.mutable_header()->set_spec_version(store::kSpecVersion);
  Describe("sink_attention", "ratio", v1::SCOPE_HEAD, &m)->set_threshold(.3);
  if (run.all_metrics) {
    v1::MetricDescriptor* drain =
        Describe("value_norm_ratio", "ratio", v1::SCOPE_HEAD, &m);
    drain->set_threshold(.5);
    drain->set_below(true);
    Describe("residual_norm_ratio", "ratio", v1::SCOPE_LAYER, &m);
    Describe("probe_loss", "nats", v1::SCOPE_MODEL, &m);
  }
  for (size_t i = 0; i < run.domains.size(); ++i) {
    AddDomain(run, run.domains[i], i > 0, checkpoint.step(), &m);
  }
  return m;
}

absl::Status ObserveAll(const Run& run, store::Store* store) {
  v1::RunConfig config;
  config.set_name(run.name);
  config.set_root("/checkpoints/" + run.name);
  config.set_probe("/probes/stories");
  if (absl::Status s = store->PutRun(config); !s.ok()) return s;
  std::vector<store::Observation> seen;
  for (const int64_t step : run.steps) {
    store::Observation one;
    one.checkpoint = exporter::MakeCheckpoint(run.name, step);
    one.probe = exporter::MakeProbe();
    one.state = v1::JOB_STATE_QUEUED;
    seen.push_back(std::move(one));
  }
  return store->Observe(seen);
}

absl::Status CommitGroup(std::vector<store::Store::CommitRequest>* group,
                         store::Store* store) {
  for (const auto& result : store->Commit(*group)) {
    if (!result.ok()) return result.status();
  }
  group->clear();
  return absl::OkStatus();
}

absl::Status MeasureAll(const Run& run, store::Store* store) {
  std::vector<store::Store::CommitRequest> group;
  for (size_t i = run.unmeasured; i < run.steps.size(); ++i) {
    const auto jobs =
        store->LeasableAround(run.name, run.steps[i], run.steps[i]);
    if (!jobs.ok()) return jobs.status();
    if (jobs->empty()) return absl::NotFoundError("a step is not queued");
    const v1::Job& job = jobs->front().job;
    auto lease = store->Lease(job.id(), "test", store::LeaseLimits(), 5);
    if (!lease.ok()) return lease.status();
    store::Store::CommitRequest request;
    request.job_id = job.id();
    request.token = lease->token;
    request.measurement = MakeMeasurement(run, job.checkpoint());
    group.push_back(std::move(request));
    if (group.size() < kCommitsPerGroup && i + 1 < run.steps.size()) continue;
    if (absl::Status s = CommitGroup(&group, store); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// `count` steps: powers of two up to `every`, then its multiples.
std::vector<int64_t> Steps(size_t count, int64_t every) {
  std::vector<int64_t> steps = {0};
  for (int64_t step = 1; step < every && steps.size() < count; step *= 2) {
    steps.push_back(step);
  }
  for (int64_t step = every; steps.size() < count; step += every) {
    steps.push_back(step);
  }
  return steps;
}

absl::Status Fill(const std::string& folder) {
  const auto minutes = [](int n) {
    return absl::FromUnixSeconds(1'700'000'000) + absl::Minutes(n);
  };
  std::vector<int64_t> thousands;
  for (int64_t i = 0; i < 2500; ++i) thousands.push_back(i * 1000);
  const std::vector<Run> runs = {
      {"aaa-empty", {}, 0, {}, false, minutes(0)},
      {"dense", Steps(1500, 500), 0, {"wiki"}, false, minutes(1)},
      {"long", thousands, 2490, {"wiki"}, false, minutes(2)},
      {"one", {1000}, 0, {"wiki"}, true, minutes(3)},
      {"wide", Steps(300, 500), 0, {"wiki", "code"}, true, minutes(4)}};
  absl::Time now = minutes(0);
  store::StoreOptions options;
  options.path = absl::StrCat(folder, "/sinkwatch.db");
  options.clock = [&now] { return now; };
  auto store = store::Store::Open(options);
  if (!store.ok()) return store.status();
  for (const Run& run : runs) {
    now = run.measured;
    if (absl::Status s = ObserveAll(run, store->get()); !s.ok()) return s;
    if (absl::Status s = MeasureAll(run, store->get()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace sinkwatch::http::ui

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fill_store DATA_DIR\n");
    return 2;
  }
  std::error_code error;
  std::filesystem::create_directories(argv[1], error);
  const absl::Status status = sinkwatch::http::ui::Fill(argv[1]);
  if (!status.ok()) {
    std::fprintf(stderr, "fill_store: %s\n", status.ToString().c_str());
    return 1;
  }
}

#include "server/exporter/exporter.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/exporter/gzip.h"
#include "server/exporter/now_plane.h"
#include "server/exporter/text_format.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::exporter {
namespace {

using v1::PrometheusConfig;

// The service's families may grow by so many series (a few RPC methods called
// for the first time) before the next render takes account of them.
constexpr int64_t kOpsHeadroom = 128;

NowOptions OptionsFor(PrometheusConfig::Detail detail, bool heads_page) {
  NowOptions options;
  options.facts = !heads_page;
  options.runs = !heads_page && detail == PrometheusConfig::DETAIL_RUN;
  options.layers = !heads_page && !options.runs;
  options.heads = heads_page || detail == PrometheusConfig::DETAIL_HEAD;
  return options;
}

absl::StatusOr<std::vector<v1::Measurement>> Latest(store::Store& store) {
  auto keys = store.LatestKeys();
  if (!keys.ok()) return keys.status();
  std::vector<v1::Measurement> latest;
  for (const store::Store::LatestKey& key : *keys) {
    auto measurement = store.MeasurementFacts(key.measurement);
    if (!measurement.ok()) return measurement.status();
    std::vector<std::string> metrics;
    for (const auto& metric : measurement->header().metrics()) {
      metrics.push_back(metric.name());
    }
    auto read = store.ReadMetrics(key.measurement, metrics);
    if (!read.ok()) return read.status();
    for (v1::MetricVector& vector : read->vectors) {
      *measurement->add_vectors() = std::move(vector);
    }
    latest.push_back(*std::move(measurement));
  }
  return latest;
}

}  // namespace

struct Exporter::Page {
  bool heads = false;
  std::shared_ptr<const std::string> text;
  GzipPrefix gzip;  // without its bytes
  std::shared_ptr<const std::string> gzip_bytes;
  int64_t dropped_by_cap = 0;
};

struct Exporter::Seen {
  int64_t revision = -1;
  NowInput input;
};

Exporter::Exporter(store::Store* store, telemetry::ServiceMetrics* metrics,
                   ExporterOptions options)
    : store_(store),
      metrics_(metrics),
      options_(options),
      seen_(std::make_shared<Seen>()) {}

Exporter::~Exporter() { Stop(); }

absl::Status Exporter::Start() {
  if (absl::Status status = Refresh(); !status.ok()) return status;
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void Exporter::Stop() {
  {
    base::MutexLock lock(wake_mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Exporter::NotifyCommit() {
  {
    base::MutexLock lock(wake_mutex_);
    notified_ = true;
  }
  wake_.NotifyAll();
}

void Exporter::Loop() {
  while (WaitForTurn()) {
    if (absl::Status status = Refresh(); !status.ok()) {
      metrics_->RefreshFailed();
      spdlog::warn("event=metrics_refresh_failed error=\"{}\"",
                   status.ToString());
    }
  }
}

bool Exporter::WaitForTurn() {
  base::MutexLock lock(wake_mutex_);
  // The pause bounds what a stream of commits can make this thread cost.
  const auto pause_ends = std::chrono::steady_clock::now() +
                          absl::ToChronoNanoseconds(options_.min_interval);
  while (!stopping_ && wake_.WaitUntil(wake_mutex_, pause_ends)) {
  }
  const auto poll = std::chrono::steady_clock::now() +
                    absl::ToChronoNanoseconds(options_.poll_interval);
  while (!stopping_ && !notified_ && wake_.WaitUntil(wake_mutex_, poll)) {
  }
  notified_ = false;
  return !stopping_;
}

absl::StatusOr<std::shared_ptr<const Exporter::Seen>> Exporter::ReadStore(
    const Seen& old) const {
  auto seen = std::make_shared<Seen>();
  seen->revision = store_->revision();
  absl::StatusOr<std::vector<v1::RunConfig>> runs = store_->Runs();
  if (!runs.ok()) return runs.status();
  auto jobs = store_->CountJobs();
  if (!jobs.ok()) return jobs.status();
  for (const v1::RunConfig& run : *runs) {
    seen->input.runs.push_back(run.name());
  }
  seen->input.jobs = *std::move(jobs);
  seen->input.discovery = metrics_->Discovery();
  if (seen->revision == old.revision) {
    seen->input.latest = old.input.latest;
  } else {
    auto latest = Latest(*store_);
    if (!latest.ok()) return latest.status();
    seen->input.latest = *std::move(latest);
  }
  return seen;
}

absl::Status Exporter::Refresh() {
  base::MutexLock lock(refresh_mutex_);
  std::shared_ptr<const Seen> old_seen;
  std::shared_ptr<const Page> old_page;
  {
    base::MutexLock page_lock(page_mutex_);
    old_seen = seen_;
    old_page = default_page_;
  }
  auto seen = ReadStore(*old_seen);
  if (!seen.ok()) return seen.status();
  metrics_->SetStoreRevision((*seen)->revision);
  auto page = RenderPage(/*heads=*/false, **seen, old_page.get());
  base::MutexLock page_lock(page_mutex_);
  seen_ = *std::move(seen);
  default_page_ = std::move(page);
  return absl::OkStatus();
}

std::shared_ptr<const Exporter::Page> Exporter::RenderPage(
    bool heads, const Seen& seen, const Page* old) const {
  const char* name = heads ? "heads" : "default";
  NowOptions options = OptionsFor(options_.detail, heads);
  options.max_series = options_.max_series;
  const auto ops = metrics_->Collect();
  for (const auto& family : ops) options.taken_names.insert(family.name);
  if (!heads) options.max_series -= CountSeries(ops) + kOpsHeadroom;

  NowPage now = RenderNow(seen.input, options);
  metrics_->PageRendered(name, now.series, now.dropped);
  auto page = std::make_shared<Page>();
  page->heads = heads;
  page->gzip = StartGzip(now.text);
  page->gzip_bytes =
      std::make_shared<const std::string>(std::move(page->gzip.bytes));
  page->text = std::make_shared<const std::string>(std::move(now.text));
  page->dropped_by_cap = now.dropped["cap"];
  // Said once, not at every render.
  if (page->dropped_by_cap > 0 &&
      (old == nullptr || old->dropped_by_cap == 0)) {
    spdlog::warn(
        "event=series_dropped page={} dropped={} shown={} max_series={} "
        "hint=\"raise prometheus.max_series, or follow fewer runs or metrics\"",
        name, page->dropped_by_cap, now.series, options_.max_series);
  }
  return page;
}

ScrapeBody Exporter::Body(const std::shared_ptr<const Page>& page,
                          bool gzip) const {
  std::string ops;
  if (page == nullptr || !page->heads) {
    AppendFamilies(metrics_->Collect(), &ops);
  }
  ScrapeBody body;
  if (page == nullptr) {
    body.ops = gzip ? Gzip(ops) : std::move(ops);
    return body;
  }
  body.now = gzip ? page->gzip_bytes : page->text;
  body.ops = gzip ? FinishGzip(page->gzip, ops) : std::move(ops);
  return body;
}

ScrapeBody Exporter::Metrics(bool gzip) const {
  std::shared_ptr<const Page> page;
  {
    base::MutexLock lock(page_mutex_);
    page = default_page_;
  }
  return Body(page, gzip);
}

ScrapeBody Exporter::Heads(bool gzip) const {
  std::shared_ptr<const Seen> seen;
  {
    base::MutexLock lock(page_mutex_);
    seen = seen_;
  }
  base::MutexLock lock(heads_mutex_);
  if (heads_seen_ != seen) {
    heads_page_ = RenderPage(/*heads=*/true, *seen, heads_page_.get());
    heads_seen_ = seen;
  }
  return Body(heads_page_, gzip);
}

}  // namespace sinkwatch::exporter

#include "server/exporter/exporter.h"

#include <algorithm>
#include <set>
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

}  // namespace

struct Exporter::Page {
  std::string name;
  std::shared_ptr<const std::string> text;
  GzipPrefix gzip;  // without its bytes
  std::shared_ptr<const std::string> gzip_bytes;
  int64_t dropped_by_cap = 0;
};

struct Exporter::Seen {
  int64_t revision = -1;
  NowInput input;
};

Exporter::Exporter(store::Store* store, ServiceMetrics* metrics,
                   ExporterOptions options)
    : store_(store),
      metrics_(metrics),
      options_(options),
      seen_(std::make_unique<Seen>()) {}

Exporter::~Exporter() { Stop(); }

absl::Status Exporter::Start() {
  if (absl::Status status = Refresh(); !status.ok()) return status;
  thread_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void Exporter::Stop() {
  {
    std::lock_guard<std::mutex> lock(wake_mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Exporter::NotifyCommit() {
  {
    std::lock_guard<std::mutex> lock(wake_mutex_);
    notified_ = true;
  }
  wake_.notify_all();
}

void Exporter::Loop() {
  std::unique_lock<std::mutex> lock(wake_mutex_);
  while (!stopping_) {
    // The pause bounds what a stream of commits can make this thread cost.
    wake_.wait_for(lock, absl::ToChronoNanoseconds(options_.min_interval),
                   [this] { return stopping_; });
    wake_.wait_for(lock, absl::ToChronoNanoseconds(options_.poll_interval),
                   [this] { return stopping_ || notified_; });
    if (stopping_) return;
    notified_ = false;
    lock.unlock();
    if (absl::Status status = Refresh(); !status.ok()) {
      metrics_->RefreshFailed();
      spdlog::warn("event=metrics_refresh_failed error=\"{}\"",
                   status.ToString());
    }
    lock.lock();
  }
}

absl::Status Exporter::ReadStore(Seen* seen) {
  const int64_t revision = store_->revision();
  absl::StatusOr<std::vector<v1::RunConfig>> runs = store_->Runs();
  if (!runs.ok()) return runs.status();
  auto jobs = store_->CountJobs();
  if (!jobs.ok()) return jobs.status();
  seen->input.runs.clear();
  for (const v1::RunConfig& run : *runs) {
    seen->input.runs.push_back(run.name());
  }
  seen->input.jobs = *std::move(jobs);
  if (revision != seen->revision) {
    auto latest = store_->LatestMeasurements();
    if (!latest.ok()) return latest.status();
    seen->input.latest = *std::move(latest);
    seen->revision = revision;
  }
  return absl::OkStatus();
}

absl::Status Exporter::Refresh() {
  std::lock_guard<std::mutex> lock(refresh_mutex_);
  if (absl::Status s = ReadStore(seen_.get()); !s.ok()) return s;
  seen_->input.discovery = metrics_->Discovery();
  metrics_->SetStoreRevision(seen_->revision);
  auto page = RenderPage("default", options_.detail, *seen_);
  auto heads = RenderPage("heads", PrometheusConfig::DETAIL_HEAD, *seen_);
  std::lock_guard<std::mutex> page_lock(page_mutex_);
  default_page_ = std::move(page);
  heads_page_ = std::move(heads);
  return absl::OkStatus();
}

std::shared_ptr<const Exporter::Page> Exporter::RenderPage(
    const std::string& name, PrometheusConfig::Detail detail,
    const Seen& seen) {
  const bool is_heads = name == "heads";
  NowOptions options = OptionsFor(detail, is_heads);
  options.max_series = options_.max_series;
  const auto ops = metrics_->Collect();
  for (const auto& family : ops) options.taken_names.insert(family.name);
  if (!is_heads) options.max_series -= CountSeries(ops) + kOpsHeadroom;

  NowPage now = RenderNow(seen.input, options);
  metrics_->PageRendered(name, now.series, now.dropped);
  auto page = std::make_shared<Page>();
  page->name = name;
  page->gzip = StartGzip(now.text);
  page->gzip_bytes =
      std::make_shared<const std::string>(std::move(page->gzip.bytes));
  page->text = std::make_shared<const std::string>(std::move(now.text));
  page->dropped_by_cap = now.dropped["cap"];

  std::shared_ptr<const Page> old;
  {
    std::lock_guard<std::mutex> lock(page_mutex_);
    old = is_heads ? heads_page_ : default_page_;
  }
  const int64_t dropped_before = old == nullptr ? 0 : old->dropped_by_cap;
  if (page->dropped_by_cap > 0 && dropped_before == 0) {
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
  if (page == nullptr || page->name == "default") {
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
    std::lock_guard<std::mutex> lock(page_mutex_);
    page = default_page_;
  }
  return Body(page, gzip);
}

ScrapeBody Exporter::Heads(bool gzip) const {
  std::shared_ptr<const Page> page;
  {
    std::lock_guard<std::mutex> lock(page_mutex_);
    page = heads_page_;
  }
  return Body(page, gzip);
}

}  // namespace sinkwatch::exporter

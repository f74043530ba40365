#include "server/exporter/exporter.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "server/exporter/gzip.h"
#include "server/exporter/protobuf_format.h"
#include "server/exporter/text_format.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::exporter {
namespace {

using v1::PrometheusConfig;

// The service's families may grow by so many series (RPC methods and routes
// called for the first time) before the next render takes account of them.
constexpr int64_t kOpsHeadroom = 512;

// How old the times of looks may be on a page. Each look has another one, and
// to render hundreds of runs for that, every two seconds, is work.
constexpr absl::Duration kTimesMayLag = absl::Seconds(15);

// Refreshes are one percent of a core where no two are further apart than that.
constexpr double kMaxShareOfCore = 0.01;
constexpr absl::Duration kMaxPause = absl::Seconds(15);

absl::Duration CpuOfThread() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

using Discovery =
    std::map<std::string, telemetry::ServiceMetrics::RunDiscovery>;

bool IsNews(const Discovery& before, const Discovery& now) {
  return before.size() != now.size() ||
         !std::equal(before.begin(), before.end(), now.begin(),
                     [](const auto& a, const auto& b) {
                       return a.first == b.first &&
                              a.second.left_alone == b.second.left_alone &&
                              b.second.last_success - a.second.last_success <
                                  kTimesMayLag;
                     });
}

bool IsSame(const store::Store::StateCount& a,
            const store::Store::StateCount& b) {
  return a.run == b.run && a.state == b.state && a.count == b.count;
}

// Whether a page should say so. Measurements are the same if they are one.
bool IsNews(const NowInput& before, const NowInput& now) {
  return before.runs != now.runs || before.latest != now.latest ||
         before.implausible != now.implausible ||
         before.unreadable != now.unreadable ||
         before.same_weights != now.same_weights ||
         before.jobs.size() != now.jobs.size() ||
         !std::equal(before.jobs.begin(), before.jobs.end(), now.jobs.begin(),
                     IsSame) ||
         IsNews(before.discovery, now.discovery);
}

NowOptions OptionsFor(PrometheusConfig::Detail detail, bool heads_page,
                      PageFormat format) {
  NowOptions options;
  options.format = format;
  options.histograms = !heads_page && format == PageFormat::kProtobuf;
  options.facts = !heads_page;
  options.runs = !heads_page && detail == PrometheusConfig::DETAIL_RUN;
  options.layers = !heads_page && !options.runs;
  options.heads = heads_page || detail == PrometheusConfig::DETAIL_HEAD;
  return options;
}

}  // namespace

struct Exporter::Page {
  std::shared_ptr<const std::string> text;
  GzipPrefix gzip;  // without its bytes
  std::shared_ptr<const std::string> gzip_bytes;
  int64_t dropped_by_cap = 0;
};

Exporter::Exporter(store::Store* store, telemetry::ServiceMetrics* metrics,
                   ExporterOptions options)
    : store_(store),
      metrics_(metrics),
      options_(std::move(options)),
      latest_(store, options_.metrics),
      seen_(std::make_shared<NowInput>()) {}

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
    const absl::Duration before = CpuOfThread();
    const absl::Status status = base::CatchAll([this] { return Refresh(); });
    cpu_ = CpuOfThread() - before;
    if (!status.ok()) {
      metrics_->RefreshFailed();
      spdlog::warn("event=metrics_refresh_failed error=\"{}\"",
                   status.ToString());
    }
  }
}

bool Exporter::WaitForTurn() {
  // The pause bounds what a stream of commits can make this thread cost.
  const absl::Duration pause = std::max(
      options_.min_interval, std::min(cpu_ / kMaxShareOfCore, kMaxPause));
  base::MutexLock lock(wake_mutex_);
  const auto pause_ends =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(pause);
  while (!stopping_ && wake_.WaitUntil(wake_mutex_, pause_ends)) {
  }
  const auto poll = std::chrono::steady_clock::now() +
                    absl::ToChronoNanoseconds(options_.poll_interval);
  while (!stopping_ && !notified_ && wake_.WaitUntil(wake_mutex_, poll)) {
  }
  notified_ = false;
  return !stopping_;
}

absl::StatusOr<std::shared_ptr<const NowInput>> Exporter::ReadStore() {
  auto seen = std::make_shared<NowInput>();
  metrics_->SetStoreRevision(store_->revision());
  absl::StatusOr<std::vector<v1::RunConfig>> runs = store_->Runs();
  if (!runs.ok()) return runs.status();
  auto jobs = store_->CountJobs();
  if (!jobs.ok()) return jobs.status();
  if (absl::Status status = latest_.Update(); !status.ok()) return status;
  auto implausible = store_->ImplausibleRuns();
  if (!implausible.ok()) return implausible.status();
  seen->implausible = {implausible->begin(), implausible->end()};
  auto same_weights = store_->CountSameWeights();
  if (!same_weights.ok()) return same_weights.status();
  seen->same_weights = *std::move(same_weights);
  for (const v1::RunConfig& run : *runs) seen->runs.push_back(run.name());
  seen->jobs = *std::move(jobs);
  seen->discovery = metrics_->Discovery();
  seen->latest = latest_.latest();
  seen->unreadable = latest_.unreadable();
  return seen;
}

void Exporter::MeasureStore() {
  if (options_.store_path.empty()) return;
  int64_t bytes = 0;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code error;
    const auto size =
        std::filesystem::file_size(options_.store_path + suffix, error);
    if (!error) bytes += static_cast<int64_t>(size);
  }
  metrics_->SetStoreSize(bytes);
}

absl::Status Exporter::Refresh() {
  base::MutexLock lock(refresh_mutex_);
  MeasureStore();
  std::shared_ptr<const Page> old_page;
  std::shared_ptr<const NowInput> before;
  {
    base::MutexLock page_lock(page_mutex_);
    old_page = default_page_;
    before = seen_;
  }
  auto seen = ReadStore();
  if (!seen.ok()) return seen.status();
  if (old_page != nullptr && !IsNews(*before, **seen)) return absl::OkStatus();
  auto page = RenderPage(Kind(), **seen, old_page.get());
  base::MutexLock page_lock(page_mutex_);
  seen_ = *std::move(seen);
  default_page_ = std::move(page);
  return absl::OkStatus();
}

std::shared_ptr<const Exporter::Page> Exporter::RenderPage(
    Kind kind, const NowInput& seen, const Page* old) const {
  const bool protobuf = kind.format == PageFormat::kProtobuf;
  const std::string name = absl::StrCat(kind.heads ? "heads" : "default",
                                        protobuf ? "_protobuf" : "");
  NowOptions options = OptionsFor(options_.detail, kind.heads, kind.format);
  options.max_series = options_.max_series;
  const auto ops = metrics_->Collect();
  for (const auto& family : ops) options.taken_names.insert(family.name);
  if (!kind.heads) options.max_series -= CountSeries(ops) + kOpsHeadroom;

  NowPage now = RenderNow(seen, options);
  metrics_->PageRendered(name, now.series, now.dropped);
  auto page = std::make_shared<Page>();
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

ScrapeBody Exporter::Body(Kind kind, const std::shared_ptr<const Page>& page,
                          bool gzip) const {
  std::string ops;
  if (!kind.heads && kind.format == PageFormat::kText) {
    AppendFamilies(metrics_->Collect(), &ops);
  } else if (!kind.heads) {
    AppendProtobufFamilies(metrics_->Collect(), &ops);
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

ScrapeBody Exporter::Lazy(Kind kind, LazyPage& lazy, bool gzip) const {
  std::shared_ptr<const NowInput> seen;
  {
    base::MutexLock lock(page_mutex_);
    seen = seen_;
  }
  base::MutexLock lock(lazy.mutex);
  if (lazy.seen != seen) {
    lazy.page = RenderPage(kind, *seen, lazy.page.get());
    lazy.seen = seen;
  }
  return Body(kind, lazy.page, gzip);
}

ScrapeBody Exporter::Metrics(bool gzip, PageFormat format) const {
  const Kind kind{/*heads=*/false, format};
  if (format == PageFormat::kProtobuf) return Lazy(kind, protobuf_, gzip);
  std::shared_ptr<const Page> page;
  {
    base::MutexLock lock(page_mutex_);
    page = default_page_;
  }
  return Body(kind, page, gzip);
}

ScrapeBody Exporter::Heads(bool gzip, PageFormat format) const {
  return Lazy({/*heads=*/true, format},
              format == PageFormat::kText ? heads_ : heads_protobuf_, gzip);
}

}  // namespace sinkwatch::exporter

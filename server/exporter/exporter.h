#ifndef SINKWATCH_SERVER_EXPORTER_EXPORTER_H_
#define SINKWATCH_SERVER_EXPORTER_EXPORTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/base/mutex.h"
#include "server/exporter/latest_cache.h"
#include "server/exporter/now_plane.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/config.pb.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

struct ExporterOptions {
  // What /metrics shows; /metrics/heads is always DETAIL_HEAD.
  v1::PrometheusConfig::Detail detail = v1::PrometheusConfig::DETAIL_LAYER;
  // Series of one page, whatever the number of runs.
  int64_t max_series = 40000;
  // Names of the metrics that are shown (shown_metrics.h); empty: headlines.
  std::vector<std::string> metrics;
  // The store's database, whose size is exported; empty: it is not.
  std::string store_path;
  // Shortest time between two refreshes: commits in between share one.
  absl::Duration min_interval = absl::Seconds(1);
  // Job states change without commits; they are looked at so often.
  absl::Duration poll_interval = absl::Seconds(2);
};

// The body of one scrape: first `now`, then `ops`. `now` was rendered before
// the scrape and is shared by all of them. Compressed, both together are one
// gzip stream.
struct ScrapeBody {
  std::shared_ptr<const std::string> now;
  std::string ops;
};

// What Prometheus reads. The now plane (latest plausible measurement of each
// run that is configured) is rendered into immutable text by the exporter's own
// thread when something was written to the store; a scrape adds the service's
// own counters and never touches the store, so it neither waits for a commit
// nor delays one. Pages that fewer ask for (of heads, and in protobuf, with
// native histograms) are rendered by the first scrape after a change.
//
// Thread-safe. Owns one thread between Start and Stop.
class Exporter {
 public:
  // `store` and `metrics` must outlive it. Pages are empty until the first
  // Refresh.
  Exporter(store::Store* store, telemetry::ServiceMetrics* metrics,
           ExporterOptions options);
  ~Exporter();

  // Renders once, then goes on in a thread. Returns the first render's error,
  // in which case no thread runs.
  absl::Status Start();
  // Idempotent.
  void Stop();

  // Something was committed, or runs changed. Returns at once; the pages follow
  // within min_interval, or where refreshes are long as far apart as makes them
  // one percent of a core, up to 15 s.
  void NotifyCommit();

  // Renders now, in the caller's thread, what is not as it was. The times of
  // looks may lag by 15 s. On an error of the store the old pages stay.
  absl::Status Refresh();

  // Takes as long as the service's own counters need.
  ScrapeBody Metrics(bool gzip, PageFormat format = PageFormat::kText) const;
  ScrapeBody Heads(bool gzip, PageFormat format = PageFormat::kText) const;

 private:
  struct Page;
  // Which of the pages.
  struct Kind {
    bool heads = false;
    PageFormat format = PageFormat::kText;
  };
  // A page that is rendered when somebody asks for it.
  struct LazyPage {
    base::Mutex mutex;
    std::shared_ptr<const NowInput> seen ABSL_GUARDED_BY(mutex);
    std::shared_ptr<const Page> page ABSL_GUARDED_BY(mutex);
  };

  void Loop();
  // Returns when there is something to refresh: true, or when to stop: false.
  bool WaitForTurn();
  absl::StatusOr<std::shared_ptr<const NowInput>> ReadStore()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mutex_);
  void MeasureStore();
  std::shared_ptr<const Page> RenderPage(Kind kind, const NowInput& seen,
                                         const Page* old) const;
  ScrapeBody Lazy(Kind kind, LazyPage& lazy, bool gzip) const;
  ScrapeBody Body(Kind kind, const std::shared_ptr<const Page>& page,
                  bool gzip) const;

  store::Store* const store_;
  telemetry::ServiceMetrics* const metrics_;
  const ExporterOptions options_;

  base::Mutex refresh_mutex_;  // one Refresh at a time
  LatestCache latest_ ABSL_GUARDED_BY(refresh_mutex_);

  mutable base::Mutex page_mutex_;  // held to copy pointers only
  std::shared_ptr<const NowInput> seen_ ABSL_GUARDED_BY(page_mutex_);
  std::shared_ptr<const Page> default_page_ ABSL_GUARDED_BY(page_mutex_);

  mutable LazyPage protobuf_;
  mutable LazyPage heads_;
  mutable LazyPage heads_protobuf_;

  base::Mutex wake_mutex_;
  base::CondVar wake_;
  bool notified_ ABSL_GUARDED_BY(wake_mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(wake_mutex_) = false;
  absl::Duration cpu_;  // of the thread's last refresh; the thread's
  std::thread thread_;
};

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_EXPORTER_H_

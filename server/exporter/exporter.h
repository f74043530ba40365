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
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/config.pb.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

struct ExporterOptions {
  // What /metrics shows; /metrics/heads is always DETAIL_HEAD.
  v1::PrometheusConfig::Detail detail = v1::PrometheusConfig::DETAIL_LAYER;
  // Series of one page, whatever the number of runs.
  int64_t max_series = 20000;
  // Shortest time between two renders: commits in between share one.
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
// thread when measurements were committed; a scrape adds the service's own
// counters and never touches the store, so it neither waits for a commit nor
// delays one.
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
  // within min_interval.
  void NotifyCommit();

  // Renders now, in the caller's thread. On an error of the store the old pages
  // stay.
  absl::Status Refresh();

  // Takes as long as the service's own counters need.
  ScrapeBody Metrics(bool gzip) const;
  // The first call after a Refresh renders the page.
  ScrapeBody Heads(bool gzip) const;

 private:
  struct Page;
  struct Seen;  // what the pages were rendered from

  void Loop();
  // Returns when there is something to refresh: true, or when to stop: false.
  bool WaitForTurn();
  absl::StatusOr<std::shared_ptr<const Seen>> ReadStore(const Seen& old) const;
  std::shared_ptr<const Page> RenderPage(bool heads, const Seen& seen,
                                         const Page* old) const;
  ScrapeBody Body(const std::shared_ptr<const Page>& page, bool gzip) const;

  store::Store* const store_;
  telemetry::ServiceMetrics* const metrics_;
  const ExporterOptions options_;

  base::Mutex refresh_mutex_;  // one Refresh at a time

  mutable base::Mutex page_mutex_;  // held to copy pointers only
  std::shared_ptr<const Seen> seen_ ABSL_GUARDED_BY(page_mutex_);
  std::shared_ptr<const Page> default_page_ ABSL_GUARDED_BY(page_mutex_);

  // The large page is rendered when somebody asks for it.
  mutable base::Mutex heads_mutex_;
  mutable std::shared_ptr<const Seen> heads_seen_ ABSL_GUARDED_BY(heads_mutex_);
  mutable std::shared_ptr<const Page> heads_page_ ABSL_GUARDED_BY(heads_mutex_);

  base::Mutex wake_mutex_;
  base::CondVar wake_;
  bool notified_ ABSL_GUARDED_BY(wake_mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(wake_mutex_) = false;
  std::thread thread_;
};

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_EXPORTER_H_

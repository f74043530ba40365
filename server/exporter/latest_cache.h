#ifndef SINKWATCH_SERVER_EXPORTER_LATEST_CACHE_H_
#define SINKWATCH_SERVER_EXPORTER_LATEST_CACHE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/store/store.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

// The latest measurement of each run and stage, reduced to the metrics that are
// shown and without standard errors. A measurement is read once: a commit costs
// a look at its own run only. Not thread-safe.
class LatestCache {
 public:
  // `store` must outlive it; `metrics` is prometheus.metrics of the
  // configuration (shown_metrics.h).
  LatestCache(store::Store* store, std::vector<std::string> metrics);

  // Looks which measurements are the latest now and reads those that are new.
  // Values that cannot be read cost themselves: they are logged once, by run,
  // step and metric, and counted. An error means that the store does not even
  // say which are the latest; then nothing changes.
  absl::Status Update();

  // In the order of run and stage.
  const std::vector<std::shared_ptr<const v1::Measurement>>& latest() const {
    return latest_;
  }
  // By run, where there are any.
  const std::map<std::string, int64_t>& unreadable() const {
    return unreadable_;
  }

 private:
  struct Entry {
    std::shared_ptr<const v1::Measurement> measurement;  // null: not readable
    std::vector<std::string> damaged;
    bool may_pass = false;  // the error may be gone next time
  };
  Entry Read(const store::Store::LatestKey& key) const;
  const Entry& Find(const store::Store::LatestKey& key,
                    std::map<int64_t, Entry>& old);

  store::Store* const store_;
  const std::vector<std::string> metrics_;
  std::map<int64_t, Entry> entries_;  // by id of the measurement
  std::vector<std::shared_ptr<const v1::Measurement>> latest_;
  std::map<std::string, int64_t> unreadable_;
};

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_LATEST_CACHE_H_

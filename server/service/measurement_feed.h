#ifndef SINKWATCH_SERVER_SERVICE_MEASUREMENT_FEED_H_
#define SINKWATCH_SERVER_SERVICE_MEASUREMENT_FEED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "proto/base/mutex.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::service {

// Tells whoever listens of measurements as they are committed. Thread-safe.
class MeasurementFeed {
 public:
  // One event, which all that were told of it share.
  using Event = std::shared_ptr<const v1::MeasurementEvent>;
  using Listener = std::function<void(const Event&)>;

  // At most so many listen.
  explicit MeasurementFeed(size_t max_listeners = 1000)
      : max_listeners_(max_listeners) {}

  // `listener` is called on the publisher's thread, under the feed's lock: it
  // must be quick and must not call back. What it throws is its own loss.
  // Returns a ticket for Remove; RESOURCE_EXHAUSTED if too many listen.
  absl::StatusOr<int64_t> Add(Listener listener);
  // When it returns, the listener is not running and never will again.
  void Remove(int64_t ticket);

  // Throws nothing.
  void Publish(const v1::MeasurementEvent& event);

 private:
  const size_t max_listeners_;
  base::Mutex mutex_;
  int64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, Listener> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_MEASUREMENT_FEED_H_

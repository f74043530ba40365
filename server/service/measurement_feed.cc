#include "server/service/measurement_feed.h"

#include <utility>

namespace sinkwatch::service {

int64_t MeasurementFeed::Add(Listener listener) {
  base::MutexLock lock(mutex_);
  listeners_[next_ticket_] = std::move(listener);
  return next_ticket_++;
}

void MeasurementFeed::Remove(int64_t ticket) {
  base::MutexLock lock(mutex_);
  listeners_.erase(ticket);
}

void MeasurementFeed::Publish(const v1::MeasurementEvent& event) {
  base::MutexLock lock(mutex_);
  for (const auto& [ticket, listener] : listeners_) listener(event);
}

}  // namespace sinkwatch::service

#include "server/service/measurement_feed.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {

absl::StatusOr<int64_t> MeasurementFeed::Add(Listener listener) {
  base::MutexLock lock(mutex_);
  if (listeners_.size() >= max_listeners_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(max_listeners_, " watch already, which is the most"));
  }
  listeners_[next_ticket_] = std::move(listener);
  return next_ticket_++;
}

void MeasurementFeed::Remove(int64_t ticket) {
  base::MutexLock lock(mutex_);
  listeners_.erase(ticket);
}

void MeasurementFeed::Publish(const v1::MeasurementEvent& event) {
  const auto told = base::CatchAll([&]() -> absl::StatusOr<Event> {
    return std::make_shared<const v1::MeasurementEvent>(event);
  });
  base::MutexLock lock(mutex_);
  for (const auto& [ticket, listener] : listeners_) {
    const absl::Status status = base::CatchAll([&, &hear = listener] {
      if (told.ok()) hear(*told);
      return told.status();
    });
    if (!status.ok()) {
      spdlog::error("event=watcher_not_told error=\"{}\"", status.ToString());
    }
  }
}

}  // namespace sinkwatch::service

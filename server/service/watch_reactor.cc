#include "server/service/watch_reactor.h"

#include <utility>

#include "proto/rpc/status.h"

namespace sinkwatch::service {
namespace {

constexpr size_t kMaxWaiting = 1000;

}  // namespace

WatchReactor::WatchReactor(MeasurementFeed* feed, std::string run,
                           const absl::Status& known, RpcTimer timer)
    : feed_(feed), run_(std::move(run)), timer_(timer) {
  if (!known.ok()) {
    FinishOnce(rpc::ToGrpc(known));
    return;
  }
  StartSendInitialMetadata();
  ticket_ =
      feed_->Add([this](const v1::MeasurementEvent& event) { OnEvent(event); });
}

// On the publisher's thread, under the feed's lock: the reactor lives until
// OnDone has removed it from the feed.
void WatchReactor::OnEvent(const v1::MeasurementEvent& event) {
  if (!run_.empty() && event.checkpoint().run() != run_) return;
  base::MutexLock lock(mutex_);
  if (finished_) return;
  if (events_.size() >= kMaxWaiting) {
    lock.Unlock();
    return FinishOnce(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                   "the client reads too slowly"));
  }
  events_.push_back(event);
  if (writing_) return;
  writing_ = true;
  StartWrite(&events_.front());
}

void WatchReactor::OnWriteDone(bool ok) {
  {
    base::MutexLock lock(mutex_);
    events_.pop_front();
    writing_ = false;
    if (ok && !finished_) {
      if (events_.empty()) return;
      writing_ = true;
      StartWrite(&events_.front());
      return;
    }
  }
  FinishOnce(grpc::Status::CANCELLED);
}

void WatchReactor::OnCancel() { FinishOnce(grpc::Status::CANCELLED); }

void WatchReactor::FinishOnce(const grpc::Status& status) {
  {
    base::MutexLock lock(mutex_);
    if (std::exchange(finished_, true)) return;
  }
  timer_.End(status);
  Finish(status);
}

void WatchReactor::OnDone() {
  feed_->Remove(ticket_);
  delete this;
}

}  // namespace sinkwatch::service

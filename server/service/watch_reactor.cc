#include "server/service/watch_reactor.h"

#include <utility>

#include "proto/base/catch_all.h"
#include "proto/rpc/status.h"

namespace sinkwatch::service {
namespace {

constexpr size_t kMaxWaiting = 1000;

}  // namespace

WatchReactor::WatchReactor(MeasurementFeed* feed, std::string run,
                           RpcTimer timer)
    : feed_(feed), run_(std::move(run)), timer_(timer) {}

void WatchReactor::Start(const absl::Status& known) {
  // The first event may come before the ticket is known here.
  const auto ticket = base::CatchAll([&]() -> absl::StatusOr<int64_t> {
    if (!known.ok()) return known;
    return feed_->Add(
        [this](const MeasurementFeed::Event& event) { OnEvent(event); });
  });
  bool gone;
  {
    base::MutexLock lock(mutex_);
    started_ = true;
    gone = finished_;
    finished_ = gone || !ticket.ok();
    if (ticket.ok()) ticket_ = *ticket;
    if (!finished_) {
      StartSendInitialMetadata();
      WriteNext();
      return;
    }
  }
  End(gone ? grpc::Status::CANCELLED : rpc::ToGrpc(ticket.status()));
}

// On the publisher's thread, under the feed's lock: the reactor lives until
// OnDone has removed it from the feed.
void WatchReactor::OnEvent(const MeasurementFeed::Event& event) {
  if (!run_.empty() && event->checkpoint().run() != run_) return;
  base::MutexLock lock(mutex_);
  if (finished_) return;
  if (events_.size() >= kMaxWaiting) {
    lock.Unlock();
    return FinishOnce(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                   "the client reads too slowly"));
  }
  events_.push_back(event);
  if (started_) WriteNext();
}

void WatchReactor::WriteNext() {
  if (writing_ || events_.empty()) return;
  writing_ = true;
  StartWrite(events_.front().get());
}

void WatchReactor::OnWriteDone(bool ok) {
  {
    base::MutexLock lock(mutex_);
    events_.pop_front();
    writing_ = false;
    if (ok && !finished_) return WriteNext();
  }
  FinishOnce(grpc::Status::CANCELLED);
}

void WatchReactor::OnCancel() { FinishOnce(grpc::Status::CANCELLED); }

void WatchReactor::FinishOnce(const grpc::Status& status) {
  {
    base::MutexLock lock(mutex_);
    if (std::exchange(finished_, true) || !started_) return;
  }
  End(status);
}

void WatchReactor::End(const grpc::Status& status) {
  timer_.End(status);
  Finish(status);
}

void WatchReactor::OnDone() {
  int64_t ticket;
  {
    base::MutexLock lock(mutex_);
    ticket = ticket_;
  }
  feed_->Remove(ticket);
  delete this;
}

}  // namespace sinkwatch::service

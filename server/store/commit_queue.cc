#include "server/store/commit_queue.h"

#include <utility>

#include "absl/status/status.h"

namespace sinkwatch::store {

CommitQueue::CommitQueue(Store* store, CommitQueueOptions options)
    : store_(store),
      options_(std::move(options)),
      thread_([this] { Loop(); }) {}

CommitQueue::~CommitQueue() { Stop(); }

void CommitQueue::Submit(Store::CommitRequest request, Callback done) {
  const size_t bytes = request.measurement.ByteSizeLong();
  absl::Status refused;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopped_) {
      refused = absl::UnavailableError("the server is shutting down");
    } else if (bytes_ + bytes > options_.max_bytes && !entries_.empty()) {
      refused = absl::ResourceExhaustedError(
          "too many measurements wait for the disk; send it again");
    } else {
      bytes_ += bytes;
      entries_.push_back({std::move(request), std::move(done)});
    }
  }
  if (!refused.ok()) return done(refused);
  changed_.notify_one();
}

void CommitQueue::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void CommitQueue::Loop() {
  while (true) {
    std::vector<Entry> entries;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stopped_ || !entries_.empty(); });
      if (entries_.empty()) return;
      entries.swap(entries_);
      bytes_ = 0;
    }
    CommitAll(std::move(entries));
  }
}

void CommitQueue::CommitAll(std::vector<Entry> entries) {
  std::vector<Store::CommitRequest> requests;
  int64_t values = 0;
  for (Entry& entry : entries) {
    for (const v1::MetricVector& vector : entry.request.measurement.vectors()) {
      values += vector.values_size();
    }
    requests.push_back(std::move(entry.request));
  }
  const absl::Time start = absl::Now();
  auto results = store_->Commit(requests);
  if (options_.on_commit) {
    bool failed = true;
    for (const auto& result : results) {
      failed = failed && !result.ok() && !absl::IsAborted(result.status());
    }
    options_.on_commit(absl::Now() - start, static_cast<int>(requests.size()),
                       values, failed);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i].done(std::move(results[i]));
  }
}

}  // namespace sinkwatch::store

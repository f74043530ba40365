#include "server/store/commit_queue.h"

#include <utility>

#include "absl/status/status.h"
#include "proto/base/catch_all.h"

namespace sinkwatch::store {
namespace {

CommitReport Report(const std::vector<Store::CommitRequest>& requests,
                    const std::vector<absl::StatusOr<CommitResult>>& results) {
  CommitReport report;
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].ok() && *results[i] == CommitResult::kCommitted) {
      ++report.measurements;
      report.values += ValuesIn(requests[i].measurement);
    } else if (!results[i].ok() && !IsRefusal(results[i].status())) {
      report.status = results[i].status();
    }
  }
  return report;
}

}  // namespace

int64_t ValuesIn(const v1::Measurement& measurement) {
  int64_t values = 0;
  for (const v1::MetricVector& vector : measurement.vectors()) {
    values += vector.values_size();
  }
  return values;
}

CommitQueue::CommitQueue(Store* store, CommitQueueOptions options)
    : store_(store),
      options_(std::move(options)),
      thread_([this] { Loop(); }) {}

CommitQueue::~CommitQueue() { Stop(); }

void CommitQueue::Submit(Store::CommitRequest request, Callback done) {
  const size_t bytes = request.measurement.ByteSizeLong();
  absl::Status refused;
  {
    base::MutexLock lock(mutex_);
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
  changed_.NotifyOne();
}

void CommitQueue::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.NotifyOne();
  if (thread_.joinable()) thread_.join();
}

void CommitQueue::Loop() {
  while (true) {
    std::vector<Entry> entries;
    {
      base::MutexLock lock(mutex_);
      while (!stopped_ && entries_.empty()) changed_.Wait(mutex_);
      if (entries_.empty()) return;
      entries.swap(entries_);
      bytes_ = 0;
    }
    CommitAll(std::move(entries));
  }
}

void CommitQueue::CommitAll(std::vector<Entry> entries) {
  std::vector<absl::StatusOr<CommitResult>> results;
  const absl::Status status = base::CatchAll([&] {
    results = Write(entries);
    return absl::OkStatus();
  });
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto tell = [&] {
      entries[i].done(status.ok() ? std::move(results[i]) : status);
      return absl::OkStatus();
    };
    // What one callback throws costs no other one its answer.
    base::CatchAll(tell).IgnoreError();
  }
}

std::vector<absl::StatusOr<CommitResult>> CommitQueue::Write(
    std::vector<Entry>& entries) {
  std::vector<Store::CommitRequest> requests;
  for (Entry& entry : entries) requests.push_back(std::move(entry.request));
  const absl::Time start = absl::Now();
  auto results = store_->Commit(requests);
  if (!options_.on_commit) return results;
  // Who is told has no say in what is on disk.
  base::CatchAll([&] {
    CommitReport report = Report(requests, results);
    report.time = absl::Now() - start;
    options_.on_commit(report);
    return absl::OkStatus();
  }).IgnoreError();
  return results;
}

}  // namespace sinkwatch::store

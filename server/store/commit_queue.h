#ifndef SINKWATCH_SERVER_STORE_COMMIT_QUEUE_H_
#define SINKWATCH_SERVER_STORE_COMMIT_QUEUE_H_

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/base/mutex.h"
#include "server/store/store.h"

namespace sinkwatch::store {

// How many values a measurement has, of all its vectors.
int64_t ValuesIn(const v1::Measurement& measurement);

// What became of one transaction.
struct CommitReport {
  absl::Duration time;
  // Written by it: what was refused, or was committed before, does not count.
  int measurements = 0;
  int64_t values = 0;
  // OK, or why the transaction failed as a whole. A refusal of one request, or
  // of all, is no failure.
  absl::Status status;
};

struct CommitQueueOptions {
  // Measurements that wait at most, by the size of their messages.
  size_t max_bytes = size_t{256} << 20;
  // Told after each transaction, before the callbacks of its requests.
  std::function<void(const CommitReport&)> on_commit;
};

// Group commit: whatever was submitted while the last transaction was being
// synced goes into the next one, so that many workers share one fsync.
//
// Thread-safe. Owns the one thread that commits.
class CommitQueue {
 public:
  using Callback = std::function<void(absl::StatusOr<CommitResult>)>;

  // `store` must outlive it.
  CommitQueue(Store* store, CommitQueueOptions options);
  // As Stop.
  ~CommitQueue();

  // Queues a measurement. `done` is called once: on the committing thread when
  // the measurement is on disk or was refused; at once, on this thread, with
  // RESOURCE_EXHAUSTED if the queue is full or UNAVAILABLE after Stop. What it
  // throws is lost.
  void Submit(Store::CommitRequest request, Callback done);

  // Commits what is queued, then ends the thread. Idempotent.
  void Stop();

 private:
  struct Entry {
    Store::CommitRequest request;
    Callback done;
  };

  void Loop();
  // Writes them and answers each; throws nothing.
  void CommitAll(std::vector<Entry> entries);
  std::vector<absl::StatusOr<CommitResult>> Write(std::vector<Entry>& entries);

  Store* const store_;
  const CommitQueueOptions options_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_COMMIT_QUEUE_H_

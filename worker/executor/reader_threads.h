#ifndef SINKWATCH_WORKER_EXECUTOR_READER_THREADS_H_
#define SINKWATCH_WORKER_EXECUTOR_READER_THREADS_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::executor {

// A few threads that do pieces of work in the order in which these were added.
// A thread that finds no more pieces of one work goes on with the next, so that
// none waits for the slowest at the end of each. They live as long as the
// object: starting a dozen takes as long as reading a megabyte.
//
// Thread-compatible; one thread calls Add and WaitForFirst.
class ReaderThreads {
 public:
  // At least one.
  explicit ReaderThreads(int count);
  // Waits for the pieces under way; those that nobody has begun are dropped.
  ~ReaderThreads();

  ReaderThreads(const ReaderThreads&) = delete;
  ReaderThreads& operator=(const ReaderThreads&) = delete;

  int count() const { return static_cast<int>(threads_.size()); }

  // Calls work(i), which must not throw, once for each i below `pieces`, in
  // that order.
  void Add(size_t pieces, std::function<void(size_t)> work);
  // Until all pieces of the oldest work that was not waited for are done. There
  // must be one.
  void WaitForFirst();
  // Drops what nobody has begun, and waits for the rest.
  void Stop();

 private:
  struct Work {
    size_t pieces = 0;
    std::function<void(size_t)> work;
    size_t next = 0;  // to be begun
    size_t done = 0;
  };

  void Loop();
  // The oldest work with a piece that nobody has begun; null: none.
  Work* FindOpen() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Mutex mutex_;
  base::CondVar added_;
  base::CondVar done_;
  std::deque<Work> works_ ABSL_GUARDED_BY(mutex_);  // not waited for yet
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_READER_THREADS_H_

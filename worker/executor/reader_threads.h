#ifndef SINKWATCH_WORKER_EXECUTOR_READER_THREADS_H_
#define SINKWATCH_WORKER_EXECUTOR_READER_THREADS_H_

#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::executor {

// A few threads that do one piece of work together, again and again. They live
// as long as the object: starting a dozen takes as long as reading a megabyte.
//
// Thread-compatible; one thread calls Start and Wait in turn.
class ReaderThreads {
 public:
  // At least one.
  explicit ReaderThreads(int count);
  // Waits for the work under way.
  ~ReaderThreads();
  ReaderThreads(const ReaderThreads&) = delete;
  ReaderThreads& operator=(const ReaderThreads&) = delete;

  int count() const { return static_cast<int>(threads_.size()); }

  // Every thread calls work(its index), which must not throw. The work before
  // must have been waited for.
  void Start(std::function<void(int)> work);
  // Until all have returned.
  void Wait();

 private:
  void Loop(int index);

  base::Mutex mutex_;
  base::CondVar changed_;
  std::function<void(int)> work_ ABSL_GUARDED_BY(mutex_);
  int round_ ABSL_GUARDED_BY(mutex_) = 0;
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_READER_THREADS_H_

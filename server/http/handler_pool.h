#ifndef SINKWATCH_SERVER_HTTP_HANDLER_POOL_H_
#define SINKWATCH_SERVER_HTTP_HANDLER_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::http {

// A few threads that run what they are given, in order. What throws costs
// itself. Thread-safe.
class HandlerPool {
 public:
  explicit HandlerPool(int threads);
  // Runs what is still waiting, then joins.
  ~HandlerPool();

  void Submit(std::function<void()> task);

 private:
  void Run();
  // The next one; empty when there will be none any more.
  std::function<void()> Next();

  base::Mutex mutex_;
  base::CondVar wake_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_HANDLER_POOL_H_

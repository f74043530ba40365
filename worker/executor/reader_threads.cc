#include "worker/executor/reader_threads.h"

#include <algorithm>
#include <utility>

namespace sinkwatch::executor {

ReaderThreads::ReaderThreads(int count) {
  for (int i = 0; i < std::max(1, count); ++i) {
    threads_.emplace_back([this, i] { Loop(i); });
  }
}

ReaderThreads::~ReaderThreads() {
  Wait();
  {
    const base::MutexLock lock(mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void ReaderThreads::Start(std::function<void(int)> work) {
  const base::MutexLock lock(mutex_);
  work_ = std::move(work);
  busy_ = count();
  ++round_;
  changed_.NotifyAll();
}

void ReaderThreads::Wait() {
  const base::MutexLock lock(mutex_);
  while (busy_ > 0) changed_.Wait(mutex_);
}

void ReaderThreads::Loop(int index) {
  int done = 0;
  while (true) {
    std::function<void(int)> work;
    {
      const base::MutexLock lock(mutex_);
      while (round_ == done && !ending_) changed_.Wait(mutex_);
      if (ending_) return;
      done = round_;
      work = work_;
    }
    work(index);
    const base::MutexLock lock(mutex_);
    if (--busy_ == 0) changed_.NotifyAll();
  }
}

}  // namespace sinkwatch::executor

#include "worker/executor/reader_threads.h"

#include <algorithm>
#include <utility>

namespace sinkwatch::executor {

ReaderThreads::ReaderThreads(int count) {
  for (int i = 0; i < std::max(1, count); ++i) {
    threads_.emplace_back([this] { Loop(); });
  }
}

ReaderThreads::~ReaderThreads() { Stop(); }

void ReaderThreads::Stop() {
  {
    const base::MutexLock lock(mutex_);
    ending_ = true;
    added_.NotifyAll();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void ReaderThreads::Add(size_t pieces, std::function<void(size_t)> work) {
  const base::MutexLock lock(mutex_);
  Work& added = works_.emplace_back();
  added.pieces = pieces;
  added.work = std::move(work);
  added_.NotifyAll();
}

void ReaderThreads::WaitForFirst() {
  const base::MutexLock lock(mutex_);
  while (works_.front().done < works_.front().pieces) done_.Wait(mutex_);
  works_.pop_front();
}

ReaderThreads::Work* ReaderThreads::FindOpen() {
  for (Work& work : works_) {
    if (work.next < work.pieces) return &work;
  }
  return nullptr;
}

void ReaderThreads::Loop() {
  while (true) {
    Work* work = nullptr;  // a deque's elements stay where they are
    size_t piece = 0;
    {
      const base::MutexLock lock(mutex_);
      while (!ending_ && (work = FindOpen()) == nullptr) added_.Wait(mutex_);
      if (ending_) return;
      piece = work->next++;
    }
    work->work(piece);
    const base::MutexLock lock(mutex_);
    if (++work->done == work->pieces) done_.NotifyAll();
  }
}

}  // namespace sinkwatch::executor

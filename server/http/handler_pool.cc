#include "server/http/handler_pool.h"

#include <utility>

#include "proto/base/catch_all.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::http {

HandlerPool::HandlerPool(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
  }
}

HandlerPool::~HandlerPool() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

void HandlerPool::Submit(std::function<void()> task) {
  {
    base::MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.NotifyOne();
}

std::function<void()> HandlerPool::Next() {
  base::MutexLock lock(mutex_);
  while (tasks_.empty() && !stopping_) wake_.Wait(mutex_);
  if (tasks_.empty()) return nullptr;
  std::function<void()> task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

void HandlerPool::Run() {
  while (const std::function<void()> task = Next()) {
    const absl::Status status = base::CatchAll([&] {
      task();
      return absl::OkStatus();
    });
    if (!status.ok()) {
      spdlog::error("event=task_lost error=\"{}\"", status.ToString());
    }
  }
}

}  // namespace sinkwatch::http

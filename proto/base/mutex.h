#ifndef SINKWATCH_PROTO_BASE_MUTEX_H_
#define SINKWATCH_PROTO_BASE_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace sinkwatch::base {

// A std::mutex that clang's thread analysis knows: what is ABSL_GUARDED_BY it
// is touched only where it is held, or CI fails (tests/house/thread_safety.sh).
// ThreadSanitizer sees a std::mutex, but no absl::Mutex: the packaged Abseil is
// not built for it.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds `mutex` from its making to the end of its scope, or to Unlock().
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() {
    if (held_) mutex_.Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  // At most once.
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    mutex_.Unlock();
    held_ = false;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

// Wakes threads that wait for what `mutex` guards to change. Both waits give
// the mutex up meanwhile and may return for no reason: call them in a loop over
// the condition.
class CondVar {
 public:
  void Wait(Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Adopted lock(mutex.mutex_);
    changed_.wait(lock.lock);
  }

  // False if the time has run out.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Adopted lock(mutex.mutex_);
    return changed_.wait_until(lock.lock, deadline) ==
           std::cv_status::no_timeout;
  }

  void NotifyOne() { changed_.notify_one(); }
  void NotifyAll() { changed_.notify_all(); }

 private:
  // The form in which a held mutex is waited on; stays held at its end.
  struct Adopted {
    explicit Adopted(std::mutex& mutex) : lock(mutex, std::adopt_lock) {}
    ~Adopted() { lock.release(); }
    std::unique_lock<std::mutex> lock;
  };

  std::condition_variable changed_;
};

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_MUTEX_H_

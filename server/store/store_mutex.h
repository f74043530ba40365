#ifndef SINKWATCH_SERVER_STORE_STORE_MUTEX_H_
#define SINKWATCH_SERVER_STORE_STORE_MUTEX_H_

#include <deque>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::store {

// Who waits for whom: leases, renewals and commits hold up workers, and take
// the time of a few rows; queries and discovery can wait.
enum class Urgency { kUrgent, kPatient };

// A lock whose urgent callers go before patient ones; within each kind they go
// in the order in which they came. After eight urgent ones in a row a patient
// one has its turn, so that nobody waits for ever. The lock is handed over to
// who waits: who unlocks and locks again goes to the end.
class ABSL_LOCKABLE StoreMutex {
 public:
  StoreMutex() = default;
  StoreMutex(const StoreMutex&) = delete;
  StoreMutex& operator=(const StoreMutex&) = delete;

  void Lock(Urgency urgency) ABSL_EXCLUSIVE_LOCK_FUNCTION();
  void Unlock() ABSL_UNLOCK_FUNCTION();

 private:
  struct Waiter {
    bool has_turn = false;
    base::CondVar changed;
  };

  // Takes the next one out of its queue; null if nobody waits.
  Waiter* Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int passed_ ABSL_GUARDED_BY(mutex_) = 0;  // urgent ones before a patient one
  std::deque<Waiter*> urgent_ ABSL_GUARDED_BY(mutex_);
  std::deque<Waiter*> patient_ ABSL_GUARDED_BY(mutex_);
};

// Holds it to the end of its scope.
class ABSL_SCOPED_LOCKABLE StoreLock {
 public:
  explicit StoreLock(StoreMutex& mutex, Urgency urgency = Urgency::kPatient)
      ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_.Lock(urgency);
  }
  ~StoreLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

 private:
  StoreMutex& mutex_;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_STORE_MUTEX_H_

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
// who waits: who unlocks and locks again goes to the end. Where somebody urgent
// locks several times for one thing (UrgentScope), patient ones wait for the
// last, as long as they have not waited for eight.
class ABSL_LOCKABLE StoreMutex {
 public:
  StoreMutex() = default;
  StoreMutex(const StoreMutex&) = delete;
  StoreMutex& operator=(const StoreMutex&) = delete;

  void Lock(Urgency urgency) ABSL_EXCLUSIVE_LOCK_FUNCTION();
  void Unlock() ABSL_UNLOCK_FUNCTION();

 private:
  friend class UrgentScope;
  struct Waiter {
    bool has_turn = false;
    base::CondVar changed;
  };

  void EndUrgent();
  // Whether a patient one has to wait for somebody who will lock again.
  bool IsReserved() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives the lock, which nobody holds, to who is next, if somebody is.
  void HandOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the next one out of its queue; null if nobody may go on.
  Waiter* Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int passed_ ABSL_GUARDED_BY(mutex_) = 0;  // urgent ones before a patient one
  int scopes_ ABSL_GUARDED_BY(mutex_) = 0;  // that will lock again
  std::deque<Waiter*> urgent_ ABSL_GUARDED_BY(mutex_);
  std::deque<Waiter*> patient_ ABSL_GUARDED_BY(mutex_);
};

// As long as it lives, patient ones wait between the locks that its thread
// takes urgently: a lease is several looks into the store and a write. One at a
// time in a thread, and of one mutex.
class UrgentScope {
 public:
  UrgentScope();
  ~UrgentScope();
  UrgentScope(const UrgentScope&) = delete;
  UrgentScope& operator=(const UrgentScope&) = delete;

 private:
  friend class StoreMutex;
  StoreMutex* mutex_ = nullptr;  // that was locked in it
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

#include "server/store/store_mutex.h"

namespace sinkwatch::store {
namespace {

constexpr int kMaxPassed = 8;

}  // namespace

void StoreMutex::Lock(Urgency urgency) {
  base::MutexLock lock(mutex_);
  if (!held_) {
    held_ = true;
    return;
  }
  Waiter self;
  (urgency == Urgency::kUrgent ? urgent_ : patient_).push_back(&self);
  while (!self.has_turn) self.changed.Wait(mutex_);
}

void StoreMutex::Unlock() {
  base::MutexLock lock(mutex_);
  Waiter* const next = Next();
  if (next == nullptr) {
    held_ = false;
    return;
  }
  next->has_turn = true;
  next->changed.NotifyOne();
}

StoreMutex::Waiter* StoreMutex::Next() {
  const bool is_patients_turn = passed_ >= kMaxPassed || urgent_.empty();
  std::deque<Waiter*>& queue =
      is_patients_turn && !patient_.empty() ? patient_ : urgent_;
  passed_ = &queue == &patient_ || patient_.empty() ? 0 : passed_ + 1;
  if (queue.empty()) return nullptr;
  Waiter* const next = queue.front();
  queue.pop_front();
  return next;
}

}  // namespace sinkwatch::store

#include "server/store/store_mutex.h"

namespace sinkwatch::store {
namespace {

constexpr int kMaxPassed = 8;

thread_local UrgentScope* scope_of_thread = nullptr;

}  // namespace

UrgentScope::UrgentScope() { scope_of_thread = this; }

UrgentScope::~UrgentScope() {
  scope_of_thread = nullptr;
  if (mutex_ != nullptr) mutex_->EndUrgent();
}

void StoreMutex::Lock(Urgency urgency) {
  base::MutexLock lock(mutex_);
  const bool is_urgent = urgency == Urgency::kUrgent;
  UrgentScope* const scope = scope_of_thread;
  if (is_urgent && scope != nullptr && scope->mutex_ == nullptr) {
    scope->mutex_ = this;
    ++scopes_;
  }
  if (!held_ && (is_urgent || !IsReserved())) {
    held_ = true;
    passed_ = is_urgent && !patient_.empty() ? passed_ + 1 : 0;
    return;
  }
  Waiter self;
  (is_urgent ? urgent_ : patient_).push_back(&self);
  while (!self.has_turn) self.changed.Wait(mutex_);
}

void StoreMutex::Unlock() {
  base::MutexLock lock(mutex_);
  HandOver();
}

void StoreMutex::EndUrgent() {
  base::MutexLock lock(mutex_);
  if (--scopes_ == 0 && !held_) HandOver();
}

bool StoreMutex::IsReserved() const {
  return scopes_ > 0 && passed_ < kMaxPassed;
}

void StoreMutex::HandOver() {
  Waiter* const next = Next();
  held_ = next != nullptr;
  if (next == nullptr) return;
  next->has_turn = true;
  next->changed.NotifyOne();
}

StoreMutex::Waiter* StoreMutex::Next() {
  const bool is_patients_turn =
      passed_ >= kMaxPassed || (urgent_.empty() && !IsReserved());
  std::deque<Waiter*>& queue =
      is_patients_turn && !patient_.empty() ? patient_ : urgent_;
  if (queue.empty()) return nullptr;
  passed_ = &queue == &patient_ || patient_.empty() ? 0 : passed_ + 1;
  Waiter* const next = queue.front();
  queue.pop_front();
  return next;
}

}  // namespace sinkwatch::store

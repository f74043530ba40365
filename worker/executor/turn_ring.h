#ifndef SINKWATCH_WORKER_EXECUTOR_TURN_RING_H_
#define SINKWATCH_WORKER_EXECUTOR_TURN_RING_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::executor {

// Slots that are used again and again, each by one turn at a time: turn 0 in
// slot 0, turn 1 in slot 1, ... and after the last slot the first again. A turn
// is the work of several threads; the next one in its slot begins after it was
// finished.
//
// Every turn must be finished, and threads must begin with turns in their
// order: then none waits for ever. Thread-safe.
class TurnRing {
 public:
  explicit TurnRing(size_t slots) {
    for (size_t i = 0; i < slots; ++i) slots_.emplace_back(i);
  }

  size_t SlotOf(int64_t turn) const {
    return static_cast<size_t>(turn) % slots_.size();
  }

  // Waits until the slot is this turn's. The first to come calls open(), which
  // all others of the turn wait for; if it throws, so does this, and the next
  // to come calls it again.
  void Enter(int64_t turn, const std::function<void()>& open) {
    Slot& slot = slots_[SlotOf(turn)];
    const base::MutexLock lock(slot.mutex);
    while (slot.turn != turn) slot.changed.Wait(slot.mutex);
    if (slot.opened) return;
    open();
    slot.opened = true;
  }

  // The slot goes to the turn behind this one, whether anybody has entered or
  // not; if the ones before are not finished yet, with them.
  void Finish(int64_t turn) {
    Slot& slot = slots_[SlotOf(turn)];
    const base::MutexLock lock(slot.mutex);
    slot.finished.insert(turn);
    while (slot.finished.erase(slot.turn) > 0) {
      slot.turn += static_cast<int64_t>(slots_.size());
      slot.opened = false;
    }
    slot.changed.NotifyAll();
  }

 private:
  struct Slot {
    explicit Slot(int64_t first) : turn(first) {}
    base::Mutex mutex;
    base::CondVar changed;
    int64_t turn ABSL_GUARDED_BY(mutex);
    bool opened ABSL_GUARDED_BY(mutex) = false;
    // Turns from `turn` on: those that nobody enters overtake others.
    std::set<int64_t> finished ABSL_GUARDED_BY(mutex);
  };

  std::deque<Slot> slots_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_TURN_RING_H_

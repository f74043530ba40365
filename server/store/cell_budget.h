#ifndef SINKWATCH_SERVER_STORE_CELL_BUDGET_H_
#define SINKWATCH_SERVER_STORE_CELL_BUDGET_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "proto/base/mutex.h"

namespace sinkwatch::store {

// How many values all questions together hold in memory, so that no number of
// questions is a size of the process. A question is answered by one thread;
// one that is alone may hold twice as many.
//
// Thread-safe. Make it with std::make_shared: holds keep it alive.
class CellBudget : public std::enable_shared_from_this<CellBudget> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit CellBudget(int64_t most) : most_(most) {}

  // What one series holds of it, until it is destroyed. Thread-compatible.
  class Hold {
   public:
    Hold(std::shared_ptr<CellBudget> budget, std::thread::id owner)
        : budget_(std::move(budget)), owner_(owner) {}
    ~Hold() { budget_->Give(owner_, cells_); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    // Holds so many from now on; fewer than before change nothing.
    // RESOURCE_EXHAUSTED where so many are not to be had: nothing is changed.
    absl::Status Grow(int64_t cells);

   private:
    const std::shared_ptr<CellBudget> budget_;
    const std::thread::id owner_;
    int64_t cells_ = 0;
  };

  // A hold of nothing, for the thread that calls.
  std::shared_ptr<Hold> NewHold() {
    return std::make_shared<Hold>(shared_from_this(),
                                  std::this_thread::get_id());
  }

  // Waits until somebody has given something back, or for a moment. False, at
  // once, where it is no use: it is `deadline`, nobody waits for the answer
  // (CancelScope), or the calling thread itself holds something, so that two
  // would wait for each other.
  bool WaitForOthers(Clock::time_point deadline);

  int64_t held() const;

 private:
  absl::Status Take(std::thread::id owner, int64_t cells);
  void Give(std::thread::id owner, int64_t cells);

  const int64_t most_;
  mutable base::Mutex mutex_;
  base::CondVar given_;
  int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::thread::id, int64_t> held_by_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_CELL_BUDGET_H_

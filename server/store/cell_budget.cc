#include "server/store/cell_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/store/cancel_scope.h"

namespace sinkwatch::store {
namespace {

// Between two looks at whether anybody still waits for the answer.
constexpr std::chrono::milliseconds kTurn(50);

}  // namespace

absl::Status CellBudget::Hold::Grow(int64_t cells) {
  if (cells <= cells_) return absl::OkStatus();
  absl::Status status = budget_->Take(owner_, cells - cells_);
  if (status.ok()) cells_ = cells;
  return status;
}

absl::Status CellBudget::Take(std::thread::id owner, int64_t cells) {
  base::MutexLock lock(mutex_);
  const auto place = held_by_.find(owner);
  const int64_t own = place == held_by_.end() ? 0 : place->second;
  const int64_t others = held_ - own;
  if (held_ + cells > (others > 0 ? most_ : 2 * most_)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("other questions hold ", others, " of ", most_,
                     " values, and this one needs ", own + cells,
                     ": ask again, or for less"));
  }
  held_by_[owner] = own + cells;
  held_ += cells;
  return absl::OkStatus();
}

bool CellBudget::WaitForOthers(Clock::time_point deadline) {
  if (CancelScope::IsCancelled()) return false;
  const auto now = Clock::now();
  base::MutexLock lock(mutex_);
  if (now >= deadline || held_by_.count(std::this_thread::get_id()) != 0) {
    return false;
  }
  given_.WaitUntil(mutex_, std::min(deadline, now + kTurn));
  return true;
}

void CellBudget::Give(std::thread::id owner, int64_t cells) {
  base::MutexLock lock(mutex_);
  held_ -= cells;
  const auto place = held_by_.find(owner);
  if (place != held_by_.end() && (place->second -= cells) == 0) {
    held_by_.erase(place);
  }
  given_.NotifyAll();
}

int64_t CellBudget::held() const {
  base::MutexLock lock(mutex_);
  return held_;
}

}  // namespace sinkwatch::store

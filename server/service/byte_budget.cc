#include "server/service/byte_budget.h"

#include <utility>
#include <vector>

namespace sinkwatch::service {

using SteadyClock = std::chrono::steady_clock;

ByteBudget::Share::Share(ByteBudget* budget, std::function<void()> let_go)
    : budget_(budget), let_go_(std::move(let_go)), heard_(SteadyClock::now()) {
  base::MutexLock lock(budget_->mutex_);
  budget_->shares_.insert(this);
}

ByteBudget::Share::~Share() {
  base::MutexLock lock(budget_->mutex_);
  budget_->held_ -= held_;
  budget_->shares_.erase(this);
}

bool ByteBudget::Share::Take(int64_t bytes) {
  {
    base::MutexLock lock(budget_->mutex_);
    heard_ = SteadyClock::now();
    const bool alone = budget_->held_ == 0;
    if (alone || budget_->held_ + bytes <= budget_->most_) {
      budget_->held_ += bytes;
      held_ += bytes;
      return true;
    }
  }
  budget_->FreeSilent();
  return false;
}

void ByteBudget::Share::Keep() {
  base::MutexLock lock(budget_->mutex_);
  let_go_ = nullptr;
}

void ByteBudget::FreeSilent() {
  std::vector<std::function<void()>> silent;
  {
    base::MutexLock lock(mutex_);
    const auto late = SteadyClock::now() - patience_;
    for (Share* const share : shares_) {
      if (share->held_ == 0 || share->heard_ > late || !share->let_go_) {
        continue;
      }
      silent.push_back(std::exchange(share->let_go_, nullptr));
    }
  }
  for (const auto& let_go : silent) let_go();
}

}  // namespace sinkwatch::service

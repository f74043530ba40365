#include "server/store/cell_budget.h"

#include <thread>

#include "gtest/gtest.h"
#include "server/store/cancel_scope.h"

namespace sinkwatch::store {
namespace {

using Clock = CellBudget::Clock;

// What another thread is told that wants so many.
absl::StatusCode FromElsewhere(CellBudget& budget, int64_t cells) {
  absl::Status status;
  std::thread([&] { status = budget.NewHold()->Grow(cells); }).join();
  return status.code();
}

TEST(CellBudgetTest, GivesBackWhatAHoldHad) {
  const auto budget = std::make_shared<CellBudget>(100);
  {
    const auto hold = budget->NewHold();
    ASSERT_TRUE(hold->Grow(60).ok());
    ASSERT_TRUE(hold->Grow(30).ok());
    EXPECT_EQ(budget->held(), 60);
    EXPECT_EQ(FromElsewhere(*budget, 40), absl::StatusCode::kOk);
    EXPECT_EQ(FromElsewhere(*budget, 41), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(budget->held(), 0);
  EXPECT_EQ(FromElsewhere(*budget, 41), absl::StatusCode::kOk);
}

TEST(CellBudgetTest, OneAloneGetsTwiceAsMuch) {
  const auto budget = std::make_shared<CellBudget>(100);
  const auto first = budget->NewHold(), second = budget->NewHold();
  EXPECT_TRUE(first->Grow(150).ok());
  EXPECT_FALSE(second->Grow(51).ok());
  EXPECT_TRUE(second->Grow(50).ok());
  EXPECT_EQ(FromElsewhere(*budget, 1), absl::StatusCode::kResourceExhausted);
}

TEST(CellBudgetTest, WaitsForOthersUntilTheyGiveBack) {
  const auto budget = std::make_shared<CellBudget>(100);
  auto hold = budget->NewHold();
  ASSERT_TRUE(hold->Grow(100).ok());
  std::thread other([&] {
    const auto wanted = budget->NewHold();
    while (!wanted->Grow(50).ok()) {
      ASSERT_TRUE(budget->WaitForOthers(Clock::now() + std::chrono::hours(1)));
    }
  });
  hold = nullptr;
  other.join();
  EXPECT_EQ(budget->held(), 0);
}

TEST(CellBudgetTest, NeitherWhoHoldsSomethingWaitsNorWhoHasGone) {
  const auto budget = std::make_shared<CellBudget>(100);
  const auto later = Clock::now() + std::chrono::hours(1);
  EXPECT_FALSE(budget->WaitForOthers(Clock::now()));
  {
    const CancelScope scope([] { return true; });
    EXPECT_FALSE(budget->WaitForOthers(later));
  }
  EXPECT_TRUE(budget->WaitForOthers(later));
  const auto hold = budget->NewHold();
  ASSERT_TRUE(hold->Grow(1).ok());
  EXPECT_FALSE(budget->WaitForOthers(later));
}

}  // namespace
}  // namespace sinkwatch::store

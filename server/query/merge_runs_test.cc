#include "server/query/merge_runs.h"

#include <utility>

#include "gtest/gtest.h"

namespace sinkwatch::query {
namespace {

using store::CellBudget;

// Two columns, and rows of these steps.
RunColumns Run(const std::string& name, std::vector<int64_t> steps) {
  RunColumns run;
  run.run = name;
  run.series.tokens.resize(steps.size());
  run.selected.keys.resize(2);
  run.selected.values = {2, std::vector<float>(2 * steps.size(), 1)};
  run.selected.standard_errors = run.selected.values;
  run.series.steps = std::move(steps);
  return run;
}

std::vector<RunColumns> ThreeWithoutACommonStep() {
  return {Run("a", {1, 2}), Run("b", {3, 4}), Run("c", {5, 6})};
}

TEST(MergeRunsTest, HasARowForEachStepAndAColumnForEachOfThem) {
  const auto budget = std::make_shared<CellBudget>(1000);
  const auto merged =
      MergeRuns(ThreeWithoutACommonStep(), 36, budget->NewHold());
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->selected.values.rows(), 6u);
  EXPECT_EQ(merged->selected.values.columns, 6u);
  EXPECT_EQ(budget->held(), 36);
}

// 20 runs of 3,000 steps of their own would be a billion values.
TEST(MergeRunsTest, MakesNoMatrixBeyondTheBound) {
  const auto budget = std::make_shared<CellBudget>(1000);
  EXPECT_EQ(MergeRuns(ThreeWithoutACommonStep(), 35, budget->NewHold())
                .status()
                .code(),
            absl::StatusCode::kOutOfRange);
  const auto small = std::make_shared<CellBudget>(17);
  EXPECT_EQ(MergeRuns(ThreeWithoutACommonStep(), 36, small->NewHold())
                .status()
                .code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(small->held(), 0);
}

}  // namespace
}  // namespace sinkwatch::query

#include "worker/executor/ablation_budget.h"

#include <memory>
#include <optional>

#include "gtest/gtest.h"
#include "worker/executor/tiny_run_testing.h"

namespace sinkwatch::executor {
namespace {

// Two layers of 16 x (16 + 8 + 8 + 16) + 3 x 16 x 24 = 1,920 weights each, and
// 19 x 16 = 304 of the loss: 4,144 in all.
constexpr double kLayer = 1920, kHead = 304, kAll = 2 * kLayer + kHead;

class AblationBudgetTest : public ::testing::Test {
 protected:
  AblationBudget Of(int64_t sequences, std::optional<double> share) {
    return AblationBudget(*architecture_, sequences, share,
                          [this] { return now_; });
  }

  const std::unique_ptr<model::Architecture> architecture_ =
      model::CreateFrom(TinyLlama());
  double now_ = 100;
};

TEST_F(AblationBudgetTest, WithoutAShareEverythingIsTaken) {
  AblationBudget budget = Of(10, std::nullopt);
  EXPECT_FALSE(budget.bounded());
  EXPECT_EQ(budget.SequencesOf(1000), 10);
  EXPECT_TRUE(budget.Take(1 << 30, 0));
  budget.Enter();
  now_ += 1e9;
  budget.Did(10, 0);
  EXPECT_TRUE(budget.IsInTime(0, 10));
}

TEST_F(AblationBudgetTest, StreamsCostWhatIsLeftOfThePass) {
  AblationBudget budget = Of(10, 0.5);  // five whole passes of a sequence
  EXPECT_TRUE(budget.Take(4, 0));
  EXPECT_FALSE(budget.Take(2, 0));  // one is left
  EXPECT_TRUE(budget.Take(1, 1));   // from layer 1 on it costs about half
  EXPECT_FALSE(budget.Take(1, 0));
  EXPECT_EQ(budget.Take(1, 1), 2 * (kLayer + kHead) <= kAll);
}

TEST_F(AblationBudgetTest, SequencesAreThoseThatAllVariantsMayHave) {
  // Streams that begin in either layer cost (4,144 + 2,224) / 2 on average.
  const double mean = (kAll + kLayer + kHead) / 2;
  EXPECT_EQ(Of(1000, 0.5).SequencesOf(3),
            static_cast<int64_t>(500 * kAll / (3 * mean)));
  EXPECT_EQ(Of(10, 1000).SequencesOf(3), 10);  // there are no more
  EXPECT_EQ(Of(10, 0.01).SequencesOf(48), 0);
}

TEST_F(AblationBudgetTest, TimeIsMeasuredAgainstTheRestOfTheMeasurement) {
  AblationBudget budget = Of(10, 0.5);
  now_ += 10;  // of its own until layer 0 is done: 1,920 of 4,144
  budget.Enter();
  now_ += 2;
  budget.Did(10, 0);
  // 2 s for 10 sequences, so 10 more through the rest take 2.3 s. Its own time
  // will be 21.6 s in all, half of which is 10.8 s.
  EXPECT_TRUE(budget.IsInTime(0, 10));
  EXPECT_TRUE(budget.IsInTime(0, 37));
  EXPECT_FALSE(budget.IsInTime(0, 39));
  budget.Leave();
  now_ += 10;
  budget.Enter();
  // 20 s of its own are done, all but 2,224 of the work: the same.
  now_ += 9;
  EXPECT_FALSE(budget.IsInTime(1, 1)) << "11 s are spent";
}

}  // namespace
}  // namespace sinkwatch::executor

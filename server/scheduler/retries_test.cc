#include "server/scheduler/retries.h"

#include "gtest/gtest.h"

namespace sinkwatch::scheduler {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);

TEST(DecideFailure, FollowsTheTableOfOutcomes) {
  const struct {
    v1::Outcome outcome;
    int attempt;
    v1::JobState state;
  } kTable[] = {
      {v1::OUTCOME_CORRUPT, 1, v1::JOB_STATE_DEAD},
      {v1::OUTCOME_UNSUPPORTED, 1, v1::JOB_STATE_DEAD},
      {v1::OUTCOME_VANISHED, 1, v1::JOB_STATE_VANISHED},
      {v1::OUTCOME_VANISHED, 5, v1::JOB_STATE_VANISHED},
      {v1::OUTCOME_INCOMPLETE, 1, v1::JOB_STATE_WAITING},
      {v1::OUTCOME_TRANSIENT, 1, v1::JOB_STATE_RETRYING},
      {v1::OUTCOME_TRANSIENT, 4, v1::JOB_STATE_RETRYING},
      {v1::OUTCOME_TRANSIENT, 5, v1::JOB_STATE_DEAD},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(DecideFailure(row.outcome, row.attempt, {}, 0.5, kNow).state,
              row.state)
        << v1::Outcome_Name(row.outcome) << ", attempt " << row.attempt;
  }
}

TEST(DecideFailure, LooksAgainAtAnIncompleteCheckpointUntilAttemptsAreUsedUp) {
  const RetryLimits limits;  // 5 attempts, from 2 s
  for (const auto& [attempt, seconds] :
       {std::pair<int, double>{1, 2}, {2, 4}, {4, 16}}) {
    EXPECT_EQ(DecideFailure(v1::OUTCOME_INCOMPLETE, attempt, limits, 0.5, kNow)
                  .not_before,
              kNow + absl::Seconds(seconds));
  }
  EXPECT_EQ(
      DecideFailure(v1::OUTCOME_INCOMPLETE, 5, limits, 0.5, kNow).not_before,
      absl::InfinitePast());
}

TEST(DecideFailure, UsesNoAttemptForWhatIsNotTheCheckpointsFault) {
  for (int attempt : {1, 5, 100}) {
    const auto decision =
        DecideFailure(v1::OUTCOME_RELEASED, attempt, {}, 0.5, kNow);
    EXPECT_EQ(decision.state, v1::JOB_STATE_RETRYING);
    EXPECT_FALSE(decision.costs_attempt);
    EXPECT_EQ(decision.not_before, kNow + absl::Seconds(8));
  }
}

TEST(DecideFailure, DoublesTheBoundUpToTheLargest) {
  RetryLimits limits;
  limits.max_attempts = 100;
  const struct {
    int attempt;
    double seconds;
  } kTable[] = {{1, 2}, {2, 4}, {3, 8}, {8, 256}, {9, 300}, {99, 300}};
  for (const auto& row : kTable) {
    const auto decision =
        DecideFailure(v1::OUTCOME_TRANSIENT, row.attempt, limits, 0.5, kNow);
    EXPECT_EQ(decision.not_before, kNow + absl::Seconds(row.seconds / 2))
        << "attempt " << row.attempt;
  }
}

}  // namespace
}  // namespace sinkwatch::scheduler

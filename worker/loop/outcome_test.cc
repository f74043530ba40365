#include "worker/loop/outcome.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

TEST(OutcomeTest, EveryCodeHasItsOutcome) {
  const auto outcome = [](absl::StatusCode code) {
    return OutcomeOf(absl::Status(code, ""));
  };
  EXPECT_EQ(outcome(absl::StatusCode::kFailedPrecondition),
            v1::OUTCOME_INCOMPLETE);
  EXPECT_EQ(outcome(absl::StatusCode::kDataLoss), v1::OUTCOME_CORRUPT);
  EXPECT_EQ(outcome(absl::StatusCode::kUnimplemented), v1::OUTCOME_UNSUPPORTED);
  EXPECT_EQ(outcome(absl::StatusCode::kInvalidArgument),
            v1::OUTCOME_UNSUPPORTED);
  EXPECT_EQ(outcome(absl::StatusCode::kNotFound), v1::OUTCOME_VANISHED);
  for (absl::StatusCode code :
       {absl::StatusCode::kUnavailable, absl::StatusCode::kResourceExhausted,
        absl::StatusCode::kInternal, absl::StatusCode::kUnknown,
        absl::StatusCode::kDeadlineExceeded}) {
    EXPECT_EQ(outcome(code), v1::OUTCOME_TRANSIENT);
  }
}

}  // namespace
}  // namespace sinkwatch::worker

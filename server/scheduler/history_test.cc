// Random histories of a server and its workers against a model:
//   HISTORIES=1000000 SEED=5000000 bazel run //server/scheduler:history_test
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/scheduler/history_testing.h"

namespace sinkwatch::scheduler {
namespace {

constexpr uint64_t kHistories = 10000;  // half a minute of CPU

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void ExpectAgreement(uint64_t histories, bool with_faults) {
  const uint64_t first = FromEnvironment("SEED", 0);
  for (uint64_t i = 0; i < histories; ++i) {
    const auto history = RandomHistory(first + i, with_faults);
    if (WhyItDiffers(history).empty()) continue;
    const auto shorter = Shrink(history);
    FAIL() << "seed " << first + i << ": " << WhyItDiffers(shorter) << "\n"
           << ToString(shorter);
  }
}

TEST(HistoryTest, AgreesWithTheModelAfterEveryOperation) {
  ExpectAgreement(FromEnvironment("HISTORIES", kHistories), false);
}

TEST(HistoryTest, LosesNothingWhenTheDiskFailsAndTheProcessDies) {
  ExpectAgreement(FromEnvironment("HISTORIES", kHistories) / 5, true);
}

// What a history is good for: it tells a right model from a wrong one.
TEST(HistoryTest, IsShrunkToWhatDiffers) {
  const std::vector<Operation> history = {
      {What::kSee, 0},      {What::kWait, 3, 1}, {What::kAcquire},
      {What::kSetClock, 5}, {What::kCommit, 1},  {What::kRequeue}};
  EXPECT_EQ(WhyItDiffers(history), "");
  EXPECT_EQ(Shrink(history).size(), history.size());
  EXPECT_EQ(ToString({{What::kCommit, 1, 2}}), "  commit 1 2\n");
}

}  // namespace
}  // namespace sinkwatch::scheduler

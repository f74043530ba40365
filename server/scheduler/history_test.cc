// Random histories of a server and its workers against a model:
//   HISTORIES=1000000 SEED=5000000 bazel run //server/scheduler:history_test
// runs so many, of which one in ten has faults, from that seed on.
#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/scheduler/history_testing.h"
#include "sqlite3.h"

namespace sinkwatch::scheduler {
namespace {

constexpr uint64_t kHistories = 100'000;  // a minute of CPU
constexpr uint64_t kWithFaults = 10;      // one in so many
// Of those without faults, that share a store.
constexpr uint64_t kTogether = 100;

// What SQLite has allocated is of no interest, and counting costs a tenth.
[[maybe_unused]] const int kUncounted =
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Fails with the few operations that a history needs to differ.
void ExpectAgreement(uint64_t seed, bool with_faults) {
  const auto history = RandomHistory(seed, with_faults);
  if (WhyItDiffers(history).empty()) return;
  const auto shorter = Shrink(history);
  FAIL() << "seed " << seed << ": " << WhyItDiffers(shorter) << "\n"
         << ToString(shorter);
}

TEST(HistoryTest, AgreesWithTheModelAfterEveryOperation) {
  const uint64_t begin = FromEnvironment("SEED", 0);
  const uint64_t all = FromEnvironment("HISTORIES", kHistories);
  const uint64_t end = begin + all - all / kWithFaults;
  for (uint64_t first = begin; first < end; first += kTogether) {
    const uint64_t last = std::min(first + kTogether, end);
    std::vector<std::vector<Operation>> histories;
    for (uint64_t seed = first; seed < last; ++seed) {
      histories.push_back(RandomHistory(seed, false));
    }
    const std::string why = WhyOneDiffers(histories);
    if (why.empty()) continue;
    for (uint64_t seed = first; seed < last; ++seed) {
      ExpectAgreement(seed, false);
      if (HasFatalFailure()) return;
    }
    FAIL() << "seeds " << first << " to " << last - 1
           << ", only one after the other: " << why;
  }
}

TEST(HistoryTest, LosesNothingWhenTheDiskFailsAndTheProcessDies) {
  const uint64_t begin = FromEnvironment("SEED", 0);
  const uint64_t end =
      begin + FromEnvironment("HISTORIES", kHistories) / kWithFaults;
  for (uint64_t seed = begin; seed < end && !HasFatalFailure(); ++seed) {
    ExpectAgreement(seed, true);
  }
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

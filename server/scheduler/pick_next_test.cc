#include "server/scheduler/pick_next.h"

#include "gtest/gtest.h"

namespace sinkwatch::scheduler {
namespace {

store::JobRecord Job(int64_t step) {
  store::JobRecord job;
  job.job.mutable_checkpoint()->set_step(step);
  return job;
}

// Leases given to each run, out of `leases` to runs that all have jobs.
std::map<std::string, int> Share(const std::vector<std::string>& runs,
                                 int leases, History& history) {
  std::map<std::string, int> given;
  for (int i = 0; i < leases; ++i) {
    const std::string run = *PickRun(runs, history);
    NoteLease(run, history);
    ++given[run];
  }
  return given;
}

TEST(PickRun, FindsNothingWhereThereIsNothing) {
  EXPECT_FALSE(PickRun({}, {}).has_value());
}

TEST(PickRun, TurnsToTheRunWithTheEarliestTurn) {
  History history;
  history.runs = {{"a", {3, 3}}, {"b", {2, 2}}};
  EXPECT_EQ(PickRun({"a", "b"}, history), "b");
  EXPECT_EQ(PickRun({"a"}, history), "a");
}

TEST(PickRun, GivesTwoRunsEquallyMany) {
  History history;
  EXPECT_EQ(Share({"a", "b"}, 10, history),
            (std::map<std::string, int>{{"a", 5}, {"b", 5}}));
}

TEST(PickRun, OwesNothingToARunThatCameLater) {
  History history;
  Share({"a"}, 1000, history);
  EXPECT_EQ(Share({"a", "b"}, 10, history),
            (std::map<std::string, int>{{"a", 5}, {"b", 5}}));
}

TEST(PickStep, TakesTheNewestStepFirst) {
  EXPECT_TRUE(IsNewestInTurn("a", {}));
  EXPECT_EQ(PickStep({Job(5), Job(900), Job(7)}, std::nullopt), 1u);
}

TEST(PickStep, FillsTheMiddleOfTheLogAxisInEverySecondTurn) {
  History history;
  NoteLease("a", history);
  EXPECT_FALSE(IsNewestInTurn("a", history));
  // ln(1 + step) of 0 and 9999 has its middle at 99.
  const std::vector<store::JobRecord> jobs = {Job(0), Job(5000), Job(99),
                                              Job(9999)};
  EXPECT_EQ(MiddleStep(jobs), 99);
  EXPECT_EQ(PickStep(jobs, MiddleStep(jobs)), 2u);
}

TEST(PickStep, KnowsTheMiddleOfOneAndOfTheLargest) {
  EXPECT_EQ(MiddleStep({Job(7)}), 7);
  EXPECT_EQ(MiddleStep({Job(INT64_MAX), Job(INT64_MAX)}), INT64_MAX);
}

}  // namespace
}  // namespace sinkwatch::scheduler

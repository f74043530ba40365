#include "server/scheduler/pick_next.h"

#include "gtest/gtest.h"

namespace sinkwatch::scheduler {
namespace {

store::JobRecord Job(const std::string& run, int64_t step) {
  store::JobRecord job;
  job.job.mutable_checkpoint()->set_run(run);
  job.job.mutable_checkpoint()->set_step(step);
  return job;
}

TEST(PickNext, FindsNothingWhereThereIsNothing) {
  EXPECT_FALSE(PickNext({}, {}).has_value());
}

TEST(PickNext, TakesTheNewestStepFirst) {
  EXPECT_EQ(PickNext({Job("a", 5), Job("a", 900), Job("a", 7)}, {}), 1u);
}

TEST(PickNext, FillsTheMiddleOfTheLogAxisInEverySecondTurn) {
  History history;
  history.leases["a"] = 1;
  // ln(1 + step) of 0 and 9999 has its middle at 99.
  EXPECT_EQ(
      PickNext({Job("a", 0), Job("a", 5000), Job("a", 99), Job("a", 9999)},
               history),
      2u);
}

TEST(PickNext, TurnsToTheRunWithTheFewestLeases) {
  History history;
  history.leases = {{"a", 3}, {"b", 2}};
  const auto next = PickNext({Job("a", 100), Job("b", 1)}, history);
  EXPECT_EQ(next, 1u);
}

TEST(PickNext, GivesTwoRunsEquallyMany) {
  History history;
  std::vector<store::JobRecord> jobs;
  for (int64_t step = 0; step < 20; ++step) {
    jobs.push_back(Job(step < 10 ? "a" : "b", step));
  }
  for (int i = 0; i < 10; ++i) {
    const size_t next = *PickNext(jobs, history);
    ++history.leases[jobs[next].job.checkpoint().run()];
    jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(next));
  }
  EXPECT_EQ(history.leases["a"], 5);
  EXPECT_EQ(history.leases["b"], 5);
}

}  // namespace
}  // namespace sinkwatch::scheduler

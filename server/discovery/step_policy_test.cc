#include "server/discovery/step_policy.h"

#include "gtest/gtest.h"

namespace sinkwatch::scheduler {
namespace {

using Steps = std::set<int64_t>;

TEST(WantedSteps, WantsEveryStepByDefault) {
  EXPECT_EQ(WantedSteps({}, {3, 1, 2}), (Steps{1, 2, 3}));
}

TEST(WantedSteps, WantsTheLatest) {
  v1::StepPolicy policy;
  policy.set_latest(2);
  EXPECT_EQ(WantedSteps(policy, {30, 10, 20}), (Steps{20, 30}));
  EXPECT_EQ(WantedSteps(policy, {5}), (Steps{5}));
}

TEST(WantedSteps, WantsWhatIsListedAndThere) {
  v1::StepPolicy policy;
  for (int64_t step : {10, 40}) policy.mutable_listed()->add_steps(step);
  EXPECT_EQ(WantedSteps(policy, {10, 20}), (Steps{10}));
}

TEST(WantedSteps, SpacesStepsOnTheLogAxisAndKeepsBothEnds) {
  v1::StepPolicy policy;
  policy.set_per_decade(3);
  std::vector<int64_t> steps;
  for (int64_t step = 0; step <= 130; ++step) steps.push_back(step);
  // 10^(i/3) = 1, 2.15, 4.64, 10, 21.5, 46.4, 100, rounded.
  EXPECT_EQ(WantedSteps(policy, steps),
            (Steps{0, 1, 2, 5, 10, 22, 46, 100, 130}));
  EXPECT_EQ(WantedSteps(policy, {}), Steps{});
}

TEST(WantedSteps, KeepsALastStepThatIsNoDouble) {
  v1::StepPolicy policy;
  policy.set_per_decade(1);
  constexpr int64_t kLast = 99999999999999999;  // as a double it is 10^17
  EXPECT_EQ(WantedSteps(policy, {1, kLast}), (Steps{1, kLast}));
  EXPECT_EQ(WantedSteps(policy, {0, INT64_MAX}), (Steps{0, INT64_MAX}));
}

}  // namespace
}  // namespace sinkwatch::scheduler

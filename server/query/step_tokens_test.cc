#include "server/query/step_tokens.h"

#include "gtest/gtest.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {
namespace {

StepTokens Of(const std::vector<int64_t>& steps,
              const std::vector<int64_t>& tokens) {
  store::Series series;
  series.steps = steps;
  series.tokens = tokens;
  StepTokens of;
  of.Add(series);
  return of;
}

TEST(StepTokensTest, KnowsTheStepsOfEverySeries) {
  StepTokens tokens = Of({100, 300}, {1000, 3000});
  store::Series other;
  other.steps = {200, 300};
  other.tokens = {2000, 3000};
  tokens.Add(other);
  EXPECT_EQ(tokens.At(100), 1000);
  EXPECT_EQ(tokens.At(200), 2000);
  EXPECT_EQ(tokens.At(300), 3000);
  EXPECT_EQ(tokens.At(250), std::nullopt);
}

TEST(StepTokensTest, StepZeroHasNoTokensOnlyWhereTokensAreKnown) {
  EXPECT_EQ(Of({0, 100}, {0, 1000}).At(0), 0);
  EXPECT_EQ(Of({0, 100}, {0, 0}).At(0), std::nullopt);
  EXPECT_EQ(Of({0, 100}, {0, 0}).At(100), std::nullopt);
}

TEST(StepTokensTest, AnIntervalIsToldWhereBothEndsAreKnown) {
  const StepTokens tokens = Of({0, 10, 20}, {0, 0, 2'000'000});
  EXPECT_EQ(tokens.TextBetween(0, 20), " (0 to 2 M tokens)");
  EXPECT_EQ(tokens.TextBetween(10, 20), "");
  EXPECT_EQ(tokens.TextAt(20), " (2 M tokens)");
  EXPECT_EQ(tokens.TextAt(10), "");
}

TEST(StepTokensTest, AreToldOfTheEndsThatAnEmergenceHas) {
  const StepTokens tokens = Of({0, 10, 20}, {0, 1000, 2000});
  v1::Emergence found;
  found.set_after_step(10);
  found.set_by_step(20);
  TellTokens(tokens, found);
  EXPECT_EQ(found.after_tokens(), 1000);
  EXPECT_EQ(found.by_tokens(), 2000);

  v1::Emergence never;
  never.set_censoring(v1::CENSORING_RIGHT);
  never.set_after_step(20);
  TellTokens(tokens, never);
  EXPECT_EQ(never.after_tokens(), 2000);
  EXPECT_FALSE(never.has_by_tokens());

  v1::Emergence start;
  start.set_censoring(v1::CENSORING_LEFT);
  start.set_by_step(10);
  TellTokens(tokens, start);
  EXPECT_FALSE(start.has_after_tokens());
  EXPECT_EQ(start.by_tokens(), 1000);

  v1::Emergence unmeasured;
  unmeasured.set_censoring(v1::CENSORING_UNMEASURED);
  TellTokens(tokens, unmeasured);
  EXPECT_FALSE(unmeasured.has_after_tokens());
  EXPECT_FALSE(unmeasured.has_by_tokens());
}

}  // namespace
}  // namespace sinkwatch::query

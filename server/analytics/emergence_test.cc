#include "server/analytics/emergence.h"

#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

// Attention on the first token, one layer, Adam: arXiv 2410.13835, from the
// tensors saved with its code (figures/BBM/dynamics.pt).
const std::vector<SeriesPoint> kPaper = {
    {0, .0225},    {100, .027},    {200, .223},   {300, .560},   {500, .648},
    {1000, .779},  {2000, .798},   {5000, .807},  {10000, .811}, {20000, .813},
    {50000, .813}, {100000, .870}, {199000, .871}};

EmergenceRule Above(double threshold) {
  EmergenceRule rule;
  rule.threshold = threshold;
  return rule;
}

TEST(FindEmergence, BracketsThePapersCrossings) {
  // Its dense curve crosses .3 at 212.5, .5 at 258, .7 at 673, .8 at 2302.
  const struct {
    double threshold, crossing;
    int64_t after, by;
  } kTable[] = {{.3, 212.5, 200, 300},
                {.5, 258, 200, 300},
                {.7, 673, 500, 1000},
                {.8, 2302, 2000, 5000}};
  for (const auto& row : kTable) {
    const v1::Emergence found = FindEmergence(kPaper, Above(row.threshold));
    EXPECT_EQ(found.censoring(), v1::CENSORING_NONE);
    EXPECT_EQ(found.after_step(), row.after);
    EXPECT_EQ(found.by_step(), row.by);
    EXPECT_GT(row.crossing, found.after_step());
    EXPECT_LE(row.crossing, found.by_step());
    EXPECT_GT(found.estimate(), static_cast<double>(row.after));
    EXPECT_LE(found.estimate(), static_cast<double>(row.by));
  }
}

TEST(FindEmergence, InterpolatesOnTheLogAxis) {
  // Half-way in value between ln(1) and ln(100) is ln(10): step 9.
  EXPECT_NEAR(FindEmergence({{0, 0}, {99, 1}, {200, 1}}, Above(.5)).estimate(),
              9, 1e-9);
}

TEST(FindEmergence, PassesOverASinglePeak) {
  const auto found =
      FindEmergence({{0, 0}, {1, 1}, {2, 0}, {3, 1}, {4, 1}}, Above(.5));
  EXPECT_EQ(found.after_step(), 2);
  EXPECT_EQ(found.by_step(), 3);
}

TEST(FindEmergence, SaysWhenItWasThereFromTheStart) {
  const auto found = FindEmergence({{5, 1}, {6, 1}}, Above(.5));
  EXPECT_EQ(found.censoring(), v1::CENSORING_LEFT);
  EXPECT_EQ(found.by_step(), 5);
}

TEST(FindEmergence, SaysWhenItNeverCame) {
  const auto found = FindEmergence({{5, 0}, {6, 1}, {7, 0}}, Above(.5));
  EXPECT_EQ(found.censoring(), v1::CENSORING_RIGHT);
  EXPECT_EQ(found.after_step(), 7);
}

TEST(FindEmergence, IsProvisionalAtTheLastCheckpoint) {
  EXPECT_TRUE(FindEmergence({{1, 0}, {2, 1}}, Above(.5)).provisional());
  EXPECT_FALSE(
      FindEmergence({{1, 0}, {2, 1}, {3, 1}}, Above(.5)).provisional());
}

TEST(FindEmergence, TakesTheThresholdItselfAsBeyondInBothDirections) {
  EmergenceRule below = Above(.5);
  below.below = true;
  EXPECT_EQ(FindEmergence({{1, 1}, {2, .5}, {3, .2}}, below).by_step(), 2);
  EXPECT_EQ(FindEmergence({{1, 0}, {2, .5}, {3, 1}}, Above(.5)).by_step(), 2);
}

TEST(FindEmergence, SaysFromWhereOnItHolds) {
  const auto fell_back = FindEmergence(
      {{0, 0}, {1, 1}, {2, 1}, {3, 0}, {4, 1}, {5, 1}}, Above(.5));
  EXPECT_EQ(fell_back.by_step(), 1);
  EXPECT_EQ(fell_back.holds_from_step(), 4);
  const auto lost = FindEmergence({{0, 0}, {1, 1}, {2, 1}, {3, 0}}, Above(.5));
  EXPECT_EQ(lost.by_step(), 1);
  EXPECT_FALSE(lost.has_holds_from_step());
  EXPECT_EQ(FindEmergence({{5, 1}, {6, 1}}, Above(.5)).holds_from_step(), 5);
  EXPECT_FALSE(
      FindEmergence({{5, 0}, {6, 0}}, Above(.5)).has_holds_from_step());
  EXPECT_FALSE(FindEmergence({}, Above(.5)).has_holds_from_step());
}

TEST(FindEmergence, AFallForLongEnoughIsAReversal) {
  const auto found = FindEmergence(
      {{0, 0}, {1, 1}, {2, 1}, {3, 0}, {4, 1}, {5, 0}, {6, 0}, {7, 1}},
      Above(.5));
  EXPECT_EQ(found.by_step(), 1);
  EXPECT_EQ(found.reversal_step(), 5);
  EXPECT_EQ(found.holds_from_step(), 7);
  EXPECT_FALSE(FindEmergence({{0, 0}, {1, 1}, {2, 1}, {3, 0}}, Above(.5))
                   .has_reversal_step());
  EXPECT_FALSE(FindEmergence(kPaper, Above(.5)).has_reversal_step());
}

TEST(FindEmergence, OfNoCheckpointsNothingIsKnown) {
  const v1::Emergence found = FindEmergence({}, Above(.5));
  EXPECT_EQ(found.censoring(), v1::CENSORING_UNMEASURED);
  EXPECT_EQ(found.checkpoints(), 0);
  EXPECT_FALSE(HasEmerged(found));
}

TEST(FindEmergence, CountsTheCheckpointsThatTellIt) {
  EXPECT_EQ(FindEmergence({{0, 0}}, Above(.5)).checkpoints(), 1);
  EXPECT_EQ(FindEmergence({{0, 0}, {1, 1}, {2, 1}}, Above(.5)).checkpoints(),
            3);
}

TEST(HasEmerged, IsTrueOfAllButThoseThatNeverDid) {
  EXPECT_TRUE(HasEmerged(FindEmergence({{0, 1}, {1, 1}}, Above(.5))));
  EXPECT_TRUE(HasEmerged(FindEmergence({{0, 0}, {1, 1}}, Above(.5))));
  EXPECT_FALSE(HasEmerged(FindEmergence({{0, 0}, {1, 0}}, Above(.5))));
}

// The float32 that is nearest to .7 lies below it.
TEST(FindEmergence, AStoredValueMeetsItsThreshold) {
  const auto found = FindEmergence({{0, 0}, {1, .7f}, {2, .7f}}, Above(.7));
  EXPECT_EQ(found.by_step(), 1);
  EmergenceRule below;
  below.threshold = .1;
  below.below = true;
  EXPECT_EQ(FindEmergence({{0, 1}, {1, .1f}, {2, .1f}}, below).by_step(), 1);
}

}  // namespace
}  // namespace sinkwatch::analytics

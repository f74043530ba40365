#include "server/analytics/seed_band.h"

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

TEST(BandOfTest, HoldsTheStepsThatAllHave) {
  const auto band = BandOf({{{0, 1}, {10, 2}, {20, 3}},
                            {{0, 3}, {20, 9}},
                            {{0, 2}, {10, 5}, {20, 4}}});
  ASSERT_EQ(band.size(), 2u);
  EXPECT_EQ(band[0].step, 0);
  EXPECT_EQ(band[0].least, 1);
  EXPECT_EQ(band[0].median, 2);
  EXPECT_EQ(band[0].largest, 3);
  EXPECT_EQ(band[1].step, 20);
  EXPECT_EQ(band[1].median, 4);
}

TEST(SeedGroupOfTest, LeavesOutTheNumberOfTheSeed) {
  EXPECT_EQ(SeedGroupOf("toy-seed3"), SeedGroupOf("toy-seed12"));
  EXPECT_EQ(SeedGroupOf("toy_seed-3_big"), "toy_seed-*_big");
  EXPECT_NE(SeedGroupOf("toy-seed3"), SeedGroupOf("toys-seed3"));
  EXPECT_EQ(SeedGroupOf("toy3"), "toy3");
  EXPECT_EQ(SeedGroupOf("seed-default"), "seed-default");
}

}  // namespace
}  // namespace sinkwatch::analytics

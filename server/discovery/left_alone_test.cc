#include "server/discovery/left_alone.h"

#include "gtest/gtest.h"

namespace sinkwatch::discovery {
namespace {

TEST(LeftAloneTest, CountsByKindAndKeepsTheFirstNames) {
  LeftAlone left;
  for (int i = 99; i >= 10; --i) {
    left.Add(WhyAlone::kFile, "f" + std::to_string(i));
  }
  left.Add(WhyAlone::kBelow, "hf");
  const auto report = left.Report();
  ASSERT_EQ(report.size(), 2u);
  EXPECT_EQ(report[0].kind(), "below");
  EXPECT_EQ(report[1].kind(), "file");
  EXPECT_EQ(report[1].count(), 90);
  ASSERT_EQ(report[1].examples_size(), 10);
  EXPECT_EQ(report[1].examples(0), "f10");
  EXPECT_EQ(report[1].examples(9), "f19");
  EXPECT_EQ(left.CountOf(WhyAlone::kLink), 0u);
}

TEST(LeftAloneTest, EscapesNamesThatAreNoText) {
  LeftAlone left;
  left.Add(WhyAlone::kFile, "caf\xe9");
  EXPECT_EQ(left.Report()[0].examples(0), "caf\\xE9");
}

}  // namespace
}  // namespace sinkwatch::discovery

#include "proto/base/ablation_policy.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = AblationTarget::Kind;

AblationPolicy Read(const std::string& heads,
                    const std::vector<std::string>& modes = {},
                    double budget = 0) {
  const auto policy = ReadAblationPolicy(heads, modes, budget);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *policy : AblationPolicy();
}

TEST(AblationPolicyTest, NothingIsAskedForUnlessSomebodyAsks) {
  for (const std::string heads : {"", "none", " none "}) {
    EXPECT_TRUE(Read(heads).none()) << heads;
    EXPECT_FALSE(Read(heads).HasHeads());
  }
}

TEST(AblationPolicyTest, AListHoldsHeadsLayersAndGroups) {
  const AblationPolicy policy = Read("3.5, 2.*,7,layers");
  EXPECT_EQ(policy.choice, AblationChoice::kListed);
  ASSERT_EQ(policy.targets.size(), 4u);
  EXPECT_EQ(policy.targets[0].kind, Kind::kHead);
  EXPECT_EQ(policy.targets[0].layer, 3);
  EXPECT_EQ(policy.targets[0].head, 5);
  EXPECT_EQ(policy.targets[1].kind, Kind::kEachHead);
  EXPECT_EQ(policy.targets[1].layer, 2);
  EXPECT_EQ(policy.targets[2].kind, Kind::kGroups);
  EXPECT_EQ(policy.targets[2].layer, 7);
  EXPECT_EQ(policy.targets[3].kind, Kind::kAllGroups);
  EXPECT_TRUE(policy.HasHeads());
  EXPECT_TRUE(policy.HasGroups());
  EXPECT_FALSE(Read("4").HasHeads());
  EXPECT_FALSE(Read("4.1").HasGroups());
}

TEST(AblationPolicyTest, ModesAreThoseThatAreNamedOnceElseAll) {
  EXPECT_THAT(Read("all").modes,
              ElementsAre(AblationMode::kZero, AblationMode::kToSink,
                          AblationMode::kNoSink));
  EXPECT_FALSE(Read("all").names_modes);
  EXPECT_TRUE(Read("all", {"zero"}).names_modes);
  EXPECT_THAT(Read("all", {"no_sink", "zero", "no_sink"}).modes,
              ElementsAre(AblationMode::kNoSink, AblationMode::kZero));
}

TEST(AblationPolicyTest, OnlyAutoHasABudgetThatNobodyNamed) {
  EXPECT_EQ(Read("auto").budget, kDefaultAblationBudget);
  EXPECT_EQ(Read("auto", {}, 0.1).budget, 0.1);
  EXPECT_FALSE(Read("all").budget.has_value());
  EXPECT_EQ(Read("3.5", {}, 2).budget, 2);
}

TEST(AblationPolicyTest, WhatIsWrongIsNamed) {
  for (const std::string part :
       {"3.", ".5", "3.5.1", "-1.2", "a.1", "3.x", "1024.0", "3.1024", "heads",
        "*", "3 .5", "99999999999.1", "all,3.5"}) {
    const auto policy = ReadAblationPolicy("1.2," + part, {}, 0);
    EXPECT_THAT(std::string(policy.status().message()),
                HasSubstr("is none of none, auto, all"))
        << part;
  }
  EXPECT_THAT(std::string(ReadAblationPolicy("1.2,", {}, 0).status().message()),
              HasSubstr("\"\" is none of"));
  EXPECT_THAT(
      std::string(ReadAblationPolicy("all", {"off"}, 0).status().message()),
      HasSubstr("mode \"off\" is none of zero, to_sink, no_sink"));
  for (double budget : {-1.0, std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()}) {
    EXPECT_FALSE(ReadAblationPolicy("all", {}, budget).ok()) << budget;
  }
}

}  // namespace
}  // namespace sinkwatch::base

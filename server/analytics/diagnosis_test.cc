#include "server/analytics/diagnosis.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

v1::Fact FactOf(const char* topic, const char* metric, int64_t count,
                int64_t of, const char* verdict = "") {
  v1::Fact fact;
  fact.set_topic(topic);
  fact.set_metric(metric);
  fact.set_domain("wiki");
  fact.set_count(count);
  fact.set_of(of);
  fact.set_verdict(verdict);
  fact.set_text(std::string(topic) + " of " + metric);
  return fact;
}

v1::Fact JumpIn(const char* metric, int64_t after, int64_t by,
                const char* verdict = "up") {
  v1::Fact fact = FactOf("jump", metric, 1, 1, verdict);
  fact.set_after_step(after);
  fact.set_by_step(by);
  return fact;
}

const RolesByMetric kRoles = {{"mass", v1::METRIC_ROLE_SINK_MASS},
                              {"peak", v1::METRIC_ROLE_RESIDUAL_PEAK},
                              {"loss", v1::METRIC_ROLE_LOSS},
                              {"massive", v1::METRIC_ROLE_MASSIVE}};

std::vector<std::string> RulesOf(const std::vector<v1::Fact>& facts) {
  std::vector<std::string> rules;
  for (const v1::Fact& finding : Diagnose(facts, kRoles)) {
    EXPECT_EQ(finding.topic(), "diagnosis");
    EXPECT_GT(finding.evidence_size(), 0) << finding.verdict();
    rules.push_back(finding.verdict());
  }
  return rules;
}

using Rules = std::vector<std::string>;

TEST(DiagnoseTest, HeadsOnASinkThatIsNotDrainedBroadcast) {
  EXPECT_EQ(RulesOf({FactOf("states", "d", 10, 100, "broadcast"),
                     FactOf("states", "d", 50, 100, "dormant")}),
            Rules{"broadcast_heads"});
  EXPECT_EQ(RulesOf({FactOf("states", "d", 1, 100, "broadcast"),
                     FactOf("states", "d", 50, 100, "dormant")}),
            Rules());
}

TEST(DiagnoseTest, SinksAndPeaksGoTogetherOrNot) {
  EXPECT_EQ(
      RulesOf({FactOf("onset", "mass", 5, 10), FactOf("onset", "peak", 0, 4)}),
      Rules{"sinks_without_peak"});
  EXPECT_EQ(
      RulesOf({FactOf("onset", "mass", 0, 10), FactOf("onset", "peak", 1, 4)}),
      Rules{"peak_without_sinks"});
  EXPECT_EQ(
      RulesOf({FactOf("onset", "mass", 5, 10), FactOf("onset", "peak", 1, 4)}),
      Rules());
  // What only the last checkpoint says may not last.
  EXPECT_EQ(RulesOf({FactOf("onset", "mass", 5, 10, "provisional"),
                     FactOf("onset", "peak", 0, 4)}),
            Rules());
  // Not measured is not absent.
  EXPECT_EQ(RulesOf({FactOf("onset", "mass", 5, 10)}), Rules());
}

TEST(DiagnoseTest, ALossThatJumpsUpWithSomethingElseNamesBoth) {
  EXPECT_EQ(RulesOf({JumpIn("loss", 10, 20), JumpIn("peak", 15, 30)}),
            Rules{"loss_and_jump"});
  EXPECT_EQ(RulesOf({JumpIn("loss", 10, 20), JumpIn("peak", 20, 30)}), Rules());
  EXPECT_EQ(RulesOf({JumpIn("loss", 10, 20, "down"), JumpIn("peak", 15, 30)}),
            Rules());
  const auto found =
      Diagnose({JumpIn("loss", 10, 20), JumpIn("peak", 15, 30)}, kRoles);
  ASSERT_EQ(found.size(), 1u);
  ASSERT_EQ(found[0].evidence_size(), 2);
  EXPECT_EQ(found[0].evidence(1), "jump of peak");
}

TEST(DiagnoseTest, LostSinksMassiveGrowthAndFlips) {
  v1::Fact reversal = FactOf("reversal", "mass", 2, 10);
  EXPECT_EQ(RulesOf({reversal}), Rules()) << "both came back";
  reversal.set_value(2);
  EXPECT_EQ(RulesOf({reversal}), Rules{"sinks_lost"});
  reversal.set_of(100);
  EXPECT_EQ(RulesOf({reversal}), Rules());
  EXPECT_EQ(RulesOf({FactOf("onset", "massive", 1, 4)}),
            Rules{"massive_growth"});
  EXPECT_EQ(RulesOf({FactOf("onset", "massive", 0, 4)}), Rules());
  EXPECT_EQ(RulesOf({FactOf("flips", "d", 6, 100)}), Rules{"flips"});
  EXPECT_EQ(RulesOf({FactOf("flips", "d", 5, 100)}), Rules());
  EXPECT_EQ(RulesOf({FactOf("flips", "d", 1, 1)}), Rules())
      << "one is not many";
}

}  // namespace
}  // namespace sinkwatch::analytics

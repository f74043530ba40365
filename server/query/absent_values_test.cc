// What was not measured is told as not measured: never as "never", "none" or 0.
#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "server/query/analyses_testing.h"

namespace sinkwatch::query {
namespace {

// Half of the heads of layer 1 have no value on code, and at some steps nothing
// is measured of it.
PlantedRun WithBlanks(const std::string& name) {
  PlantedRun run = Small(name);
  run.blank = {{1, 0}, {1, 1}, {1, 2}, {1, 3}};
  run.without_code = {2000, 2500, run.steps.back()};
  return run;
}

bool Holds(const PlantedRun& run, int layer, int head) {
  return std::count(run.blank.begin(), run.blank.end(),
                    std::make_pair(layer, head)) > 0;
}

v1::HeadInDomain OnCode(const v1::HeadStates& head) {
  for (const v1::HeadInDomain& in : head.domains()) {
    if (in.domain() == "code") return in;
  }
  ADD_FAILURE() << "no domain code";
  return {};
}

v1::GetEmergenceResponse EmergenceOnCode(Queries& queries) {
  v1::GetEmergenceRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("dormant_query_frac");
  request.mutable_selector()->set_domain("code");
  const auto found = queries.Emergence(request);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.value_or(v1::GetEmergenceResponse());
}

TEST_F(AnalysesTest, AHeadWithoutValuesHasNotEmergedAndNotStayedAway) {
  const PlantedRun run = WithBlanks("run");
  Measure(run);
  const v1::GetEmergenceResponse found = EmergenceOnCode(queries_);
  ASSERT_EQ(found.emergences_size(), 32);
  for (const v1::Emergence& e : found.emergences()) {
    const bool blank = Holds(run, e.key().layer(), e.key().head());
    EXPECT_EQ(e.censoring() == v1::CENSORING_UNMEASURED, blank)
        << e.key().label();
    EXPECT_EQ(e.checkpoints(), blank ? 0 : 57) << e.key().label();
  }
  EXPECT_TRUE(HasNote(found, "4 of 32 series were not measured"));

  const auto facts =
      FactsOf(Summary("run"), "onset", "dormant_query_frac", "code");
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_EQ(facts[0].of(), 28);
  EXPECT_TRUE(absl::StrContains(facts[0].text(), "; 4 were not measured"))
      << facts[0].text();
}

TEST_F(AnalysesTest, ATypeIsNotKnownWhereADomainHasNoValue) {
  const PlantedRun run = WithBlanks("run");
  Measure(run);
  v1::GetStatesRequest request;
  request.set_run("run");
  const auto states = analyses_.States(request);
  ASSERT_TRUE(states.ok()) << states.status();
  Heads switching;
  for (const v1::HeadStates& head : states->heads()) {
    const bool blank = Holds(run, head.layer(), head.head());
    EXPECT_EQ(head.type() == v1::HEAD_TYPE_UNSPECIFIED, blank);
    EXPECT_EQ(OnCode(head).state() == v1::HEAD_STATE_UNSPECIFIED, blank);
    // There is nothing of code at the last checkpoint: that is no difference of
    // wiki and wiki.
    EXPECT_TRUE(std::isnan(OnCode(head).dormancy()));
    EXPECT_EQ(head.has_contrast(), !blank);
    if (!blank) {
      EXPECT_NE(head.contrast().high_domain(), head.contrast().low_domain());
    }
    if (head.type() == v1::HEAD_TYPE_SWITCHING) {
      switching.emplace(head.layer(), head.head());
    }
  }
  EXPECT_EQ(switching, SetOf(run.switching));
  EXPECT_TRUE(absl::StrContains(FactsOf(Summary("run"), "switching")[0].text(),
                                "of 4 it is not known"));
}

// Two checkpoints of one domain only are no two that say it ceased.
TEST_F(AnalysesTest, CheckpointsOfOneDomainDoNotEndSwitching) {
  PlantedRun run = Small("run");
  const size_t n = run.steps.size();
  run.without_code = {run.steps[n - 3], run.steps[n - 2], run.steps[n - 1]};
  Measure(run);
  EXPECT_EQ(SwitchingIn(Summary("run")), SetOf(run.switching));
}

// Heads that are first seen dormant did not become so.
TEST_F(AnalysesTest, WhatIsFirstSeenDormantIsNoNewcomer) {
  PlantedRun run = Small("run");
  run.steps = {5000, 5500, 6000, 6500};
  run.without_code = {5000};
  Measure(run);
  const auto facts = FactsOf(Summary("run"), "head_set", "", "code");
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_EQ(facts[0].of(), 0) << facts[0].text();
}

TEST_F(AnalysesTest, ARunThatEndsBeforeAJumpDoesNotLackIt) {
  PlantedRun whole = Small("whole");
  PlantedRun early = whole;
  early.name = "early";
  early.steps.resize(14);
  ASSERT_LT(early.steps.back(), 3700);
  early.seed = 3;
  Measure(whole);
  Measure(early);
  const auto jumps =
      FactsOf(Compare({"whole", "early"}), "jump", "residual_norm_sink");
  ASSERT_EQ(jumps.size(), 2u);
  for (const v1::Fact& jump : jumps) {
    EXPECT_EQ(jump.verdict(), "unknown") << jump.text();
    EXPECT_TRUE(absl::StrContains(jump.text(), "of early it is not known"));
  }
}

TEST_F(AnalysesTest, HeadsThatOnlyOneRunKnowsAreNotOnlyThere) {
  PlantedRun first = Small("first");
  PlantedRun second = first;
  second.name = "second";
  second.seed = 3;
  second.blank = {first.switching[0]};
  Measure(first);
  Measure(second);
  const auto facts = FactsOf(Compare({"first", "second"}), "switching");
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_TRUE(absl::StrContains(facts[0].text(),
                                "in first, and not known in second: L"))
      << facts[0].text();
  EXPECT_FALSE(absl::StrContains(facts[0].text(), "only in first"));
}

TEST_F(AnalysesTest, TooFewCheckpointsTellNoJumpAndSaySo) {
  PlantedRun run = Small("run");
  run.steps = {3000, 3500, 4000};
  Measure(run);
  v1::FindJumpsRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("residual_norm_sink");
  const auto jumps = analyses_.Jumps(request);
  ASSERT_TRUE(jumps.ok()) << jumps.status();
  EXPECT_TRUE(jumps->jumps().empty());
  EXPECT_TRUE(HasNote(*jumps, "4 of 4 series have fewer than 6 checkpoints"));
  EXPECT_TRUE(HasNote(Summary("run"), "fewer than 6 checkpoints"));
}

TEST_F(AnalysesTest, JumpsAreOfTheSeriesThatWereMeasured) {
  PlantedRun run = WithBlanks("run");
  Measure(run);
  v1::FindJumpsRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("dormant_query_frac");
  request.mutable_selector()->set_domain("code");
  const auto jumps = analyses_.Jumps(request);
  ASSERT_TRUE(jumps.ok()) << jumps.status();
  ASSERT_FALSE(jumps->intervals().empty());
  for (const v1::JumpInterval& interval : jumps->intervals()) {
    EXPECT_EQ(interval.of(), 28);
  }
  EXPECT_TRUE(HasNote(*jumps, "4 of 32 series were not measured"));
}

TEST_F(AnalysesTest, OnsetsAndJumpsAreToldInTokensToo) {
  PlantedRun run = Small("run");
  run.tokens_a_step = 4'000'000;
  Measure(run);
  const auto summary = Summary("run");
  const auto onset = FactsOf(summary, "onset", "sink_attention", "wiki");
  ASSERT_EQ(onset.size(), 1u);
  EXPECT_EQ(onset[0].after_tokens(), 4'000'000'000);
  EXPECT_EQ(onset[0].by_tokens(), 6'000'000'000);
  EXPECT_TRUE(
      absl::StrContains(onset[0].text(), "in (1000, 1500] (4 B to 6 B tokens)"))
      << onset[0].text();
  const auto jump = FactsOf(summary, "jump", "residual_norm_sink", "wiki");
  ASSERT_EQ(jump.size(), 1u);
  EXPECT_EQ(jump[0].by_tokens(), 16'000'000'000);
  EXPECT_TRUE(absl::StrContains(jump[0].text(), "(14 B to 16 B tokens)"));

  v1::FindJumpsRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("residual_norm_sink");
  const auto jumps = analyses_.Jumps(request);
  ASSERT_TRUE(jumps.ok()) << jumps.status();
  EXPECT_EQ(jumps->jumps(0).after_tokens(), 14'000'000'000);
  EXPECT_EQ(jumps->intervals(0).by_tokens(), 16'000'000'000);
}

// Of the same curve by step, but of four times the batch.
TEST_F(AnalysesTest, RunsAreComparedByTokensToo) {
  PlantedRun first = Small("first");
  first.tokens_a_step = 1'000'000;
  PlantedRun second = first;
  second.name = "second";
  second.seed = 3;
  second.tokens_a_step = 4'000'000;
  Measure(first);
  Measure(second);
  const auto facts = FactsOf(Compare({"first", "second"}), "difference",
                             "sink_attention", "wiki");
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_EQ(facts[0].verdict(), "unresolved");
  EXPECT_EQ(facts[0].verdict_by_tokens(), "later");
  EXPECT_TRUE(absl::StrContains(facts[0].text(), "; by tokens later"));
}

// A checkpoint that was rewritten: the last measurement of it counts.
TEST_F(AnalysesTest, OfAStepThatWasMeasuredTwiceTheLastCounts) {
  PlantedRun run = Small("run");
  Measure(run);
  PlantedRun again = run;
  again.steps = {4000};
  again.content = "rewritten";
  again.jump = 0;
  again.seed = 3;
  Measure(again);
  v1::QuerySeriesRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("residual_norm_sink");
  request.mutable_selector()->set_domain("wiki");
  request.mutable_selector()->add_layers(2);
  const auto series = queries_.Series(request);
  ASSERT_TRUE(series.ok()) << series.status();
  ASSERT_EQ(series->steps_size(), 60);  // each once
  for (int i = 0; i < series->steps_size(); ++i) {
    if (series->steps(i) != 4000) continue;
    EXPECT_NEAR(series->values(i), 28, 1);
  }
  const char kNote[] =
      "run run: step 4000 was measured more than once: the last measurement of "
      "a step counts";
  EXPECT_TRUE(HasNote(*series, kNote));
  EXPECT_TRUE(HasNote(EmergenceOnCode(queries_), kNote));
  EXPECT_TRUE(HasNote(Summary("run"), kNote));
}

// What was measured on other terms is in no series with these.
TEST_F(AnalysesTest, WhatWasMeasuredOnOtherTermsIsLeftOutAndSaidSo) {
  PlantedRun run = Small("run");
  run.dtype = "float32";
  Measure(run);
  PlantedRun other = run;
  other.steps = {4000, 4500};
  other.dtype = "bfloat16";
  other.content = "rewritten";
  Measure(other);
  const auto summary = Summary("run");
  EXPECT_EQ(FactsOf(summary, "run")[0].count(), 2);
  EXPECT_TRUE(
      HasNote(summary, "58 steps, the first is 0, were measured only on"));
}

}  // namespace
}  // namespace sinkwatch::query

#include "server/query/analyses.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/answers/parse.h"
#include "server/query/planted_runs_testing.h"
#include "server/query/queries.h"
#include "server/store/store_testing.h"

namespace sinkwatch::query {
namespace {

using Heads = std::set<std::pair<int, int>>;

PlantedRun Small(const std::string& name) {
  PlantedRun run;
  run.name = name;
  run.layers = 4;
  run.heads = 8;
  run.steps = PlantedSteps(60, 500);
  run.switching = SpreadHeads(5, 4, 8);
  run.nearly = SpreadHeads(4, 4, 8, 3);
  return run;
}

class AnalysesTest : public testing::Test {
 protected:
  AnalysesTest() : queries_(&*store_, nullptr), analyses_(&queries_) {}

  void Measure(const PlantedRun& run, const std::vector<size_t>& order = {}) {
    const absl::Status status = Plant(run, *store_, order);
    ASSERT_TRUE(status.ok()) << status;
  }
  v1::SummarizeResponse Summary(const std::string& run) {
    v1::SummarizeRequest request;
    request.set_run(run);
    auto summary = analyses_.Summary(request);
    EXPECT_TRUE(summary.ok()) << summary.status();
    return summary.ok() ? *summary : v1::SummarizeResponse();
  }
  v1::CompareRunsResponse Compare(const std::vector<std::string>& runs) {
    v1::CompareRunsRequest request;
    *request.mutable_runs() = {runs.begin(), runs.end()};
    auto comparison = analyses_.Comparison(request);
    EXPECT_TRUE(comparison.ok()) << comparison.status();
    return comparison.ok() ? *comparison : v1::CompareRunsResponse();
  }

  store::TestStore store_;
  Queries queries_;
  Analyses analyses_;
};

template <typename Response>
std::vector<v1::Fact> FactsOf(const Response& response, const char* topic,
                              const std::string& metric = "",
                              const std::string& domain = "") {
  std::vector<v1::Fact> found;
  for (const v1::Fact& fact : response.facts()) {
    if (fact.topic() == topic && (metric.empty() || fact.metric() == metric) &&
        (domain.empty() || fact.domain() == domain)) {
      found.push_back(fact);
    }
  }
  return found;
}

template <typename Response>
Heads SwitchingIn(const Response& response) {
  Heads heads;
  for (const v1::Fact& fact : FactsOf(response, "switching")) {
    if (fact.has_head()) heads.emplace(fact.layer(), fact.head());
  }
  return heads;
}

Heads SetOf(const std::vector<std::pair<int, int>>& heads) {
  return {heads.begin(), heads.end()};
}

// The pair of runs of the size that the service is made for: 32 x 32 heads, 300
// checkpoints, thirty switching heads and as many that nearly do.
TEST_F(AnalysesTest, FindsAllThatWasPlantedInAPairOfLargeRuns) {
  PlantedRun late;
  late.name = "late";
  late.steps = PlantedSteps(300, 500);
  late.switching = SpreadHeads(30, 32, 32);
  late.nearly = SpreadHeads(30, 32, 32, 11);
  PlantedRun early = late;
  early.name = "early";
  early.onset = 800;
  early.jump = 0;
  early.seed = 7;
  Measure(late);
  Measure(early);

  const auto summary = Summary("late");
  const auto onset = FactsOf(summary, "onset", "sink_attention", "wiki");
  ASSERT_EQ(onset.size(), 1u);
  EXPECT_EQ(onset[0].after_step(), 1000);
  EXPECT_EQ(onset[0].by_step(), 1500);
  const auto jumps = FactsOf(summary, "jump", "residual_norm_sink");
  ASSERT_EQ(jumps.size(), 2u);  // one a domain, and nothing else
  for (const v1::Fact& jump : jumps) {
    EXPECT_EQ(jump.after_step(), 3500);
    EXPECT_EQ(jump.by_step(), 4000);
    EXPECT_EQ(jump.count(), 30);
    EXPECT_EQ(jump.of(), 32);
    EXPECT_NEAR(jump.value(), 31, 1);
  }
  EXPECT_EQ(SwitchingIn(summary), SetOf(late.switching));

  const auto comparison = Compare({"late", "early"});
  const auto difference =
      FactsOf(comparison, "difference", "sink_attention", "wiki");
  ASSERT_EQ(difference.size(), 1u);
  EXPECT_EQ(difference[0].verdict(), "earlier");
  EXPECT_EQ(difference[0].after_step(), 512);
  EXPECT_EQ(difference[0].by_step(), 1000);
  EXPECT_LT(difference[0].value(), 0);
  const auto jump = FactsOf(comparison, "jump", "residual_norm_sink", "wiki");
  ASSERT_EQ(jump.size(), 1u);
  EXPECT_EQ(jump[0].run(), "late");
  EXPECT_EQ(jump[0].verdict(), "only here");
  const auto switching = FactsOf(comparison, "switching");
  ASSERT_EQ(switching.size(), 1u);
  EXPECT_EQ(switching[0].count(), 30);
  EXPECT_EQ(switching[0].value(), 30);

  v1::CompareDomainsRequest pair;
  pair.set_run("late");
  pair.set_first_domain("wiki");
  pair.set_second_domain("code");
  const auto contrasts = analyses_.Domains(pair);
  ASSERT_TRUE(contrasts.ok()) << contrasts.status();
  EXPECT_EQ(contrasts->metric().name(), "dormant_query_frac");
  Heads widest;
  for (const v1::DomainContrast& row : contrasts->contrasts()) {
    if (row.type() != v1::HEAD_TYPE_SWITCHING) continue;
    widest.emplace(row.key().layer(), row.key().head());
    EXPECT_NEAR(row.contrast().difference(), .9, .06);
    EXPECT_LT(row.contrast().low(), row.contrast().difference());
  }
  EXPECT_EQ(widest, SetOf(late.switching));
}

TEST_F(AnalysesTest, NoiseAndSeedsDoNotChangeWhatIsFound) {
  for (uint64_t seed : {2, 3, 4, 5}) {
    PlantedRun run = Small("run" + std::to_string(seed));
    run.seed = seed;
    run.noise = .03;
    Measure(run);
    const auto summary = Summary(run.name);
    EXPECT_EQ(SwitchingIn(summary), SetOf(run.switching)) << seed;
    const auto onset = FactsOf(summary, "onset", "sink_attention", "wiki");
    ASSERT_EQ(onset.size(), 1u);
    EXPECT_EQ(onset[0].by_step(), 1500) << seed;
    for (const v1::Fact& jump :
         FactsOf(summary, "jump", "residual_norm_sink")) {
      EXPECT_EQ(jump.by_step(), 4000) << seed << ": " << jump.text();
    }
    EXPECT_EQ(FactsOf(summary, "jump", "residual_norm_sink").size(), 2u);
  }
}

TEST_F(AnalysesTest, MetricsWithoutRolesAreFoundByWhatTheyAre) {
  PlantedRun run = Small("old");
  run.roles = false;
  Measure(run);
  EXPECT_EQ(SwitchingIn(Summary("old")), SetOf(run.switching));
  v1::GetStatesRequest request;
  request.set_run("old");
  const auto states = analyses_.States(request);
  ASSERT_TRUE(states.ok()) << states.status();
  ASSERT_GT(states->notes_size(), 0);
  EXPECT_TRUE(absl::StrContains(states->notes(0), "dormant_query_frac"));
}

// The answer does not depend on when which checkpoint came: in order, shuffled,
// or one of them late.
TEST_F(AnalysesTest, TheOrderOfMeasuringDoesNotMatter) {
  PlantedRun run = Small("in_order");
  Measure(run);
  std::vector<size_t> order(run.steps.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<size_t> shuffled;
  for (size_t i = 0; i < order.size(); ++i) {
    shuffled.push_back(order[(i * 37 + 11) % order.size()]);
  }
  const auto wanted = Summary("in_order");

  run.name = "shuffled";
  Measure(run, shuffled);
  run.name = "late";
  const size_t late = 12;
  std::vector<size_t> first = order;
  first.erase(first.begin() + late);
  Measure(run, first);
  const auto before = Summary("late");
  Measure(run, {late});

  for (const char* name : {"shuffled", "late"}) {
    const auto summary = Summary(name);
    ASSERT_EQ(summary.facts_size(), wanted.facts_size()) << name;
    for (int i = 0; i < wanted.facts_size(); ++i) {
      v1::Fact fact = summary.facts(i);
      if (fact.topic() == "run") continue;
      fact.set_run("in_order");
      EXPECT_EQ(fact.SerializeAsString(), wanted.facts(i).SerializeAsString())
          << fact.text();
    }
  }
  EXPECT_EQ(before.facts(0).count(), static_cast<int64_t>(order.size()) - 1);
}

TEST_F(AnalysesTest, StatesFollowTheRuleThatIsAskedFor) {
  const PlantedRun run = Small("run");
  Measure(run);
  v1::GetStatesRequest request;
  request.set_run("run");
  request.add_layers(run.switching[1].first);
  request.add_heads(run.switching[1].second);
  const auto states = analyses_.States(request);
  ASSERT_TRUE(states.ok()) << states.status();
  ASSERT_EQ(states->heads_size(), 1);
  const v1::HeadStates& head = states->heads(0);
  EXPECT_EQ(head.type(), v1::HEAD_TYPE_SWITCHING);
  EXPECT_EQ(head.domains(0).state(), v1::HEAD_STATE_DORMANT);
  EXPECT_EQ(head.domains(1).state(), v1::HEAD_STATE_ACTIVE);
  EXPECT_EQ(head.contrast().high_domain(), "wiki");
  ASSERT_GT(states->changes_size(), 0);
  EXPECT_EQ(states->changes(0).to(), v1::HEAD_STATE_DORMANT);

  request.mutable_rule()->set_contrast(.95);
  const auto strict = analyses_.States(request);
  EXPECT_EQ(strict->heads(0).type(), v1::HEAD_TYPE_UNSPECIFIED);
  request.set_step(16);
  const auto start = analyses_.States(request);
  EXPECT_EQ(start->step(), 16);
  EXPECT_EQ(start->heads(0).type(), v1::HEAD_TYPE_ALWAYS_ACTIVE);
}

TEST_F(AnalysesTest, JumpsOfSeveralRunsStandTogether) {
  PlantedRun with = Small("with");
  PlantedRun without = Small("without");
  without.jump = 0;
  Measure(with);
  Measure(without);
  v1::FindJumpsRequest request;
  request.mutable_selector()->set_run("with");
  request.mutable_selector()->add_more_runs("without");
  request.mutable_selector()->set_metric("residual_norm_sink");
  const auto jumps = analyses_.Jumps(request);
  ASSERT_TRUE(jumps.ok()) << jumps.status();
  ASSERT_EQ(jumps->intervals_size(), 2);
  for (const v1::JumpInterval& interval : jumps->intervals()) {
    EXPECT_EQ(interval.run(), "with");
    EXPECT_EQ(interval.after_step(), 3500);
    EXPECT_EQ(interval.series(), 2);
    EXPECT_EQ(interval.of(), 4);
  }
  EXPECT_EQ(jumps->jumps_size(), 4);
}

TEST_F(AnalysesTest, FitsSayWhichCurveASeriesFollows) {
  PlantedRun run = Small("run");
  run.jump = 0;
  Measure(run);
  v1::FitSeriesRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("residual_norm_sink");
  request.mutable_selector()->set_domain("wiki");
  const auto fits = analyses_.Fits(request);
  ASSERT_TRUE(fits.ok()) << fits.status();
  ASSERT_EQ(fits->fits_size(), 4);
  for (const v1::SeriesFit& fit : fits->fits()) {
    EXPECT_EQ(fit.preferred(), v1::CURVE_MODEL_LINEAR);
    for (const v1::CurveFit& curve : fit.fits()) {
      if (curve.model() != v1::CURVE_MODEL_LINEAR) continue;
      EXPECT_NEAR(1000 * curve.b(), 2, .01);
    }
  }
}

TEST_F(AnalysesTest, RunsThatDifferInTheirSeedMakeABand) {
  PlantedRun one = Small("toy-seed1");
  PlantedRun two = Small("toy-seed2");
  two.seed = 9;
  Measure(one);
  Measure(two);
  const auto band = FactsOf(Compare({"toy-seed1", "toy-seed2"}), "band",
                            "residual_norm_sink", "wiki");
  ASSERT_EQ(band.size(), 1u);
  EXPECT_EQ(band[0].run(), "toy-seed*");
  EXPECT_EQ(band[0].count(), 2);
  EXPECT_LE(band[0].low(), band[0].value());
  EXPECT_LE(band[0].value(), band[0].high());
}

TEST_F(AnalysesTest, WhatThereIsNotIsAnError) {
  Measure(Small("run"));
  v1::SummarizeRequest request;
  request.set_run("runn");
  EXPECT_TRUE(absl::IsNotFound(analyses_.Summary(request).status()));
  request.set_run("run");
  request.add_domains("wikki");
  const absl::Status domain = analyses_.Summary(request).status();
  EXPECT_TRUE(absl::IsNotFound(domain));
  EXPECT_TRUE(absl::StrContains(domain.message(), "did you mean wiki?"))
      << domain;
  v1::CompareRunsRequest compare;
  compare.add_runs("run");
  EXPECT_EQ(answers::RuleOf(analyses_.Comparison(compare).status()),
            "missing_parameter");
  compare.add_runs("run");
  EXPECT_EQ(answers::RuleOf(analyses_.Comparison(compare).status()),
            "repeated_parameter");
  v1::GetStatesRequest states;
  states.set_run("run");
  states.add_layers(9);
  EXPECT_TRUE(absl::IsNotFound(analyses_.States(states).status()));
}

}  // namespace
}  // namespace sinkwatch::query

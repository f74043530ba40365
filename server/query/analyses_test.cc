#include "server/query/analyses.h"

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/answers/parse.h"
#include "server/query/analyses_testing.h"
#include "server/query/run_series.h"

namespace sinkwatch::query {
namespace {

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

  const auto contrasts = analyses_.Domains(WikiAndCode("late"));
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

// The planted sequences have the standard error that is said of their mean, so
// that both intervals are of nearly one width: that of 200 samples scatters by
// some 8 % at either end, three times that are allowed.
TEST_F(AnalysesTest, ContrastsHaveAnIntervalFromTheirSequences) {
  PlantedRun run = Small("run");
  run.sequences = 64;
  Measure(run);
  const auto contrasts = analyses_.Domains(WikiAndCode("run"));
  ASSERT_TRUE(contrasts.ok()) << contrasts.status();
  ASSERT_EQ(contrasts->contrasts_size(), 32);
  Heads switching;
  for (const v1::DomainContrast& row : contrasts->contrasts()) {
    const v1::Contrast& contrast = row.contrast();
    EXPECT_EQ(contrast.method(), v1::INTERVAL_METHOD_BOOTSTRAP);
    const double half = 1.96 * contrast.standard_error();
    EXPECT_NEAR(contrast.low(), contrast.difference() - half, .24 * half);
    EXPECT_NEAR(contrast.high(), contrast.difference() + half, .24 * half);
    EXPECT_EQ(contrast.high_sequences(), 64);
    EXPECT_EQ(contrast.low_sequences(), 64);
    if (row.type() != v1::HEAD_TYPE_SWITCHING) continue;
    switching.emplace(row.key().layer(), row.key().head());
    EXPECT_EQ(contrast.auroc(), 1);
    // .9 apart, and sequences scatter by .08 * sqrt(2).
    EXPECT_NEAR(contrast.cohens_d(), .9 / .08, 1.5);
  }
  EXPECT_EQ(switching, SetOf(run.switching));
  EXPECT_TRUE(HasNote(*contrasts, "bootstrap"));

  v1::GetStatesRequest request;
  request.set_run("run");
  const auto states = analyses_.States(request);
  ASSERT_TRUE(states.ok()) << states.status();
  EXPECT_TRUE(HasNote(*states, "bootstrap"));
  for (const v1::HeadStates& head : states->heads()) {
    EXPECT_EQ(head.contrast().method(), v1::INTERVAL_METHOD_BOOTSTRAP);
    EXPECT_GE(head.contrast().auroc(), .5);
  }
  const auto facts = FactsOf(Summary("run"), "switching");
  ASSERT_GT(facts.size(), 1u);
  EXPECT_TRUE(absl::StrContains(facts[1].text(), "bootstrap over 64 and 64"))
      << facts[1].text();
}

TEST_F(AnalysesTest, WithoutSequencesTheIntervalIsThatOfStandardErrors) {
  Measure(Small("run"));
  const auto contrasts = analyses_.Domains(WikiAndCode("run"));
  ASSERT_TRUE(contrasts.ok()) << contrasts.status();
  for (const v1::DomainContrast& row : contrasts->contrasts()) {
    EXPECT_EQ(row.contrast().method(), v1::INTERVAL_METHOD_STANDARD_ERRORS);
    EXPECT_FALSE(row.contrast().has_auroc());
  }
  EXPECT_TRUE(HasNote(*contrasts, "no values of single sequences"));
  const auto facts = FactsOf(Summary("run"), "switching");
  ASSERT_GT(facts.size(), 1u);
  EXPECT_TRUE(absl::StrContains(facts[1].text(), "by standard errors"))
      << facts[1].text();
}

// Where the errors leave open whether two domains differ, the sequences decide.
TEST_F(AnalysesTest, SequencesDecideWhatErrorsLeaveOpen) {
  PlantedRun run = Small("open");
  run.dormancy_error = .4;
  Measure(run);
  EXPECT_TRUE(SwitchingIn(Summary("open")).empty());
  run.name = "decided";
  run.sequences = 16;
  Measure(run);
  EXPECT_EQ(SwitchingIn(Summary("decided")), SetOf(run.switching));
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
  EXPECT_TRUE(HasNote(
      *states, "no metric says that it tells dormancy: dormant_query_frac"));
}

// As with emergence: which of them is right is not known.
TEST_F(AnalysesTest, StepsOfTheSameWeightsAreLeftOutOfJumpsAndFits) {
  PlantedRun run = Small("run");
  run.repeated = {3500, 4000};
  Measure(run);
  v1::FindJumpsRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("residual_norm_sink");
  request.mutable_selector()->set_domain("wiki");
  const auto jumps = analyses_.Jumps(request);
  ASSERT_TRUE(jumps.ok()) << jumps.status();
  ASSERT_GT(jumps->jumps_size(), 0);
  EXPECT_EQ(jumps->jumps(0).after_step(), 3000);
  EXPECT_EQ(jumps->jumps(0).by_step(), 4500);
  EXPECT_TRUE(HasNote(*jumps, "2 steps with the same weights"));
  v1::FitSeriesRequest fit;
  *fit.mutable_selector() = request.selector();
  const auto fits = analyses_.Fits(fit);
  ASSERT_TRUE(fits.ok()) << fits.status();
  // All but step 0, which has no logarithm, and the two.
  EXPECT_EQ(fits->fits(0).points(), static_cast<int>(run.steps.size()) - 3);
  EXPECT_TRUE(HasNote(*fits, "2 steps with the same weights"));

  request.mutable_selector()->set_include_same_weights(true);
  const auto all = analyses_.Jumps(request);
  EXPECT_EQ(all->jumps(0).after_step(), 3500);
  EXPECT_EQ(all->notes_size(), 0);
  fit.mutable_selector()->set_include_same_weights(true);
  EXPECT_EQ(analyses_.Fits(fit)->fits(0).points(),
            static_cast<int>(run.steps.size()) - 1);
}

TEST_F(AnalysesTest, OnWhatTermsARunWasMeasuredIsSaid) {
  PlantedRun run = Small("run");
  run.protocol = "gu";
  Measure(run);
  const auto facts = FactsOf(Summary("run"), "run");
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_TRUE(absl::StrContains(facts[0].text(), "96 tokens a sequence"))
      << facts[0].text();
  EXPECT_TRUE(absl::StrContains(facts[0].text(), "bos policy stored"));
  EXPECT_TRUE(absl::StrContains(facts[0].text(), "protocol gu"));
}

TEST_F(AnalysesTest, WhatNoMetricTellsIsSaid) {
  PlantedRun run = Small("run");
  Measure(run);
  const auto summary = Summary("run");
  EXPECT_TRUE(HasNote(summary, "no metric tells the sink's logit"));
  EXPECT_FALSE(HasNote(summary, "is taken for it"));
  run.name = "old";
  run.roles = false;
  Measure(run);
  EXPECT_TRUE(HasNote(Summary("old"), "dormant_query_frac is taken for it"));
  EXPECT_TRUE(HasNote(Compare({"run", "old"}), "run old: no metric says"));
  const auto contrasts = analyses_.Domains(WikiAndCode("old"));
  ASSERT_TRUE(contrasts.ok()) << contrasts.status();
  EXPECT_TRUE(HasNote(*contrasts, "dormant_query_frac is taken for it"));
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
  EXPECT_EQ(strict->heads(0).type(), v1::HEAD_TYPE_OTHER);
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

TEST_F(AnalysesTest, TooFewCheckpointsForAFitAreSaid) {
  PlantedRun run = Small("run");
  run.steps = {0, 100};
  Measure(run);
  v1::FitSeriesRequest request;
  request.mutable_selector()->set_run("run");
  request.mutable_selector()->set_metric("residual_norm_sink");
  const auto fits = analyses_.Fits(request);
  ASSERT_TRUE(fits.ok()) << fits.status();
  EXPECT_TRUE(HasNote(*fits, "8 of 8 series have fewer than 3 checkpoints"));
}

// The only checkpoint beyond the threshold is the last: nothing is sure yet.
TEST_F(AnalysesTest, WhatIsProvisionalBeginsNoFitAndIsSaid) {
  PlantedRun run = Small("run");
  run.onset = .978 * static_cast<double>(run.steps.back());
  run.noise = 1e-4;
  Measure(run);
  const auto summary = Summary("run");
  const auto onset = FactsOf(summary, "onset", "sink_attention", "wiki");
  ASSERT_EQ(onset.size(), 1u);
  EXPECT_EQ(onset[0].verdict(), "provisional");
  EXPECT_TRUE(absl::StrContains(onset[0].text(), "], provisional"));
  const auto fit = FactsOf(summary, "fit", "value_norm_ratio", "wiki");
  ASSERT_EQ(fit.size(), 1u);
  EXPECT_EQ(fit[0].count(), static_cast<int64_t>(run.steps.size()) - 1);
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

TEST_F(AnalysesTest, AJumpOfTheFirstRunIsLookedForInAllOthers) {
  PlantedRun one = Small("one"), without = Small("without");
  PlantedRun as_well = Small("as_well");
  without.jump = 0;
  as_well.seed = 3;
  for (const PlantedRun& run : {one, without, as_well}) Measure(run);
  const auto jumps = FactsOf(Compare({"one", "without", "as_well"}), "jump",
                             "residual_norm_sink", "wiki");
  ASSERT_EQ(jumps.size(), 2u);
  EXPECT_EQ(jumps[0].run(), "one");
  EXPECT_EQ(jumps[0].verdict(), "some");
  EXPECT_TRUE(
      absl::StrContains(jumps[0].text(), "as_well as well; not without"))
      << jumps[0].text();
  EXPECT_EQ(jumps[1].run(), "as_well");
  EXPECT_EQ(jumps[1].verdict(), "both");
}

TEST_F(AnalysesTest,
       RunsWithoutAStepInCommonSayThatTheirLossesCannotBeCompared) {
  PlantedRun one = Small("one"), other = Small("other");
  for (int64_t& step : other.steps) step += 100'000;
  Measure(one);
  Measure(other);
  const auto loss =
      FactsOf(Compare({"one", "other"}), "loss", "probe_loss", "wiki");
  ASSERT_EQ(loss.size(), 1u);
  EXPECT_TRUE(absl::StrContains(loss[0].text(), "no step in common"))
      << loss[0].text();
  EXPECT_FALSE(loss[0].has_value());
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

// Of a metric that some layers lack, and of key/value heads.
TEST(ColumnsOfHeadsTest, AreThoseOfTheSameHeadsAndNotOfTheSamePlaces) {
  store::Series series;
  series.metric.set_scope(v1::SCOPE_HEAD);
  for (int layer : {1, 2}) {
    for (int head = 0; head < 4; ++head)
      series.columns.push_back({layer, head});
  }
  v1::ModelInfo model;
  model.set_heads(4);
  model.set_kv_heads(2);
  const HeadPlaces heads = {{0, 1}, {1, 3}, {2, 0}};
  EXPECT_EQ(ColumnsOfHeads(series, model, heads), (std::vector<size_t>{3, 4}));
  series.metric.set_scope(v1::SCOPE_KV_HEAD);
  series.columns = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}};
  EXPECT_EQ(ColumnsOfHeads(series, model, heads),
            (std::vector<size_t>{0, 3, 4}));
  series.metric.set_scope(v1::SCOPE_LAYER);
  EXPECT_TRUE(ColumnsOfHeads(series, model, heads).empty());
}

}  // namespace
}  // namespace sinkwatch::query

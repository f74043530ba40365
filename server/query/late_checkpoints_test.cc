// Every answer is derived anew from what there is: it does not depend on when
// which checkpoint came.
#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/query/analyses.h"
#include "server/query/analyses_testing.h"

namespace sinkwatch::query {
namespace {

// All answers about a run, without what tells when they were given.
std::vector<std::string> AnswersAbout(Analyses& analyses, Queries& queries,
                                      const std::string& run) {
  std::vector<std::string> answers;
  const auto keep = [&](auto answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return;
    answer->clear_revision();
    std::string text = answer->DebugString();
    for (size_t at; (at = text.find("\"" + run + "\"")) != text.npos;) {
      text.replace(at, run.size() + 2, "RUN");
    }
    for (size_t at; (at = text.find("run " + run)) != text.npos;) {
      text.replace(at, run.size() + 4, "RUN");
    }
    answers.push_back(std::move(text));
  };
  v1::SummarizeRequest summary;
  summary.set_run(run);
  keep(analyses.Summary(summary));
  v1::GetStatesRequest states;
  states.set_run(run);
  keep(analyses.States(states));
  keep(analyses.Domains(WikiAndCode(run)));
  for (const char* metric : {"sink_attention", "residual_norm_sink"}) {
    v1::FindJumpsRequest jumps;
    jumps.mutable_selector()->set_run(run);
    jumps.mutable_selector()->set_metric(metric);
    keep(analyses.Jumps(jumps));
    v1::FitSeriesRequest fits;
    *fits.mutable_selector() = jumps.selector();
    keep(analyses.Fits(fits));
  }
  v1::GetEmergenceRequest emergence;
  emergence.mutable_selector()->set_run(run);
  emergence.mutable_selector()->set_metric("sink_attention");
  emergence.mutable_selector()->set_domain("wiki");
  keep(queries.Emergence(emergence));
  return answers;
}

// The answers do not depend on when which checkpoint came: in order, in any of
// three random orders, or all but some that come late, in between.
TEST_F(AnalysesTest, TheOrderOfMeasuringDoesNotMatter) {
  PlantedRun run = Small("in_order");
  run.sequences = 8;
  run.dormancy_error = .2;
  Measure(run);
  const auto wanted = AnswersAbout(analyses_, queries_, "in_order");
  std::vector<size_t> order(run.steps.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    std::mt19937_64 random(seed);
    std::shuffle(order.begin(), order.end(), random);
    run.name = "shuffled" + std::to_string(seed);
    Measure(run, order);
    EXPECT_EQ(AnswersAbout(analyses_, queries_, run.name), wanted) << seed;
  }
}

TEST_F(AnalysesTest, CheckpointsThatComeLateChangeWhatWasSaid) {
  PlantedRun run = Small("in_order");
  run.sequences = 8;
  Measure(run);
  const auto wanted = AnswersAbout(analyses_, queries_, "in_order");
  // Those around the onset, and the last but one, whose jump is then another.
  const std::set<size_t> late = {9, 10, 11, 12, 16, 17};
  std::vector<size_t> first;
  for (size_t i = 0; i < run.steps.size(); ++i) {
    if (late.count(i) == 0) first.push_back(i);
  }
  run.name = "late";
  Measure(run, first);
  const auto before = AnswersAbout(analyses_, queries_, "late");
  ASSERT_EQ(before.size(), wanted.size());
  for (size_t i : {size_t{0}, size_t{1}, before.size() - 1}) {
    EXPECT_NE(before[i], wanted[i]) << i;
  }
  for (size_t i : {12, 9, 17, 11, 16, 10}) Measure(run, {i});
  EXPECT_EQ(AnswersAbout(analyses_, queries_, "late"), wanted);
}

}  // namespace
}  // namespace sinkwatch::query

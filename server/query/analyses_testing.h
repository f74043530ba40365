#ifndef SINKWATCH_SERVER_QUERY_ANALYSES_TESTING_H_
#define SINKWATCH_SERVER_QUERY_ANALYSES_TESTING_H_

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/query/analyses.h"
#include "server/query/planted_runs_testing.h"
#include "server/query/queries.h"
#include "server/store/store_testing.h"

// What the tests of Analyses share.
namespace sinkwatch::query {

using Heads = std::set<std::pair<int, int>>;

inline PlantedRun Small(const std::string& name) {
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

inline Heads SetOf(const std::vector<std::pair<int, int>>& heads) {
  return {heads.begin(), heads.end()};
}

inline v1::CompareDomainsRequest WikiAndCode(const std::string& run) {
  v1::CompareDomainsRequest request;
  request.set_run(run);
  request.set_first_domain("wiki");
  request.set_second_domain("code");
  return request;
}

template <typename Response>
bool HasNote(const Response& response, const std::string& text) {
  return std::any_of(
      response.notes().begin(), response.notes().end(),
      [&](const std::string& note) { return absl::StrContains(note, text); });
}

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_ANALYSES_TESTING_H_

// The methods of Analyses that put facts together: of one run, of several.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/base/status_macros.h"
#include "server/analytics/diagnosis.h"
#include "server/analytics/jumps.h"
#include "server/answers/parse.h"
#include "server/query/analyses.h"
#include "server/query/comparison_facts.h"
#include "server/query/facts.h"
#include "server/query/head_history.h"
#include "server/query/role_notes.h"
#include "server/query/run_onsets.h"
#include "server/query/run_series.h"

namespace sinkwatch::query {
namespace {

constexpr char kHowIntervals[] =
    "onsets are intervals between checkpoints, of two in a row beyond the "
    "threshold; contrasts have intervals of 95 %, by drawing sequences anew "
    "(bootstrap) where the measurement has their values, else of 1.96 standard "
    "errors to either side: each says which";
constexpr int kMaxRuns = 32;

analytics::RolesByMetric RolesOf(
    const std::vector<v1::MetricDescriptor>& metrics) {
  analytics::RolesByMetric roles;
  for (const v1::MetricDescriptor& metric : metrics) {
    roles[metric.name()] = metric.role();
  }
  return roles;
}

// What a person should know of how the facts about a run were told.
template <typename Response>
absl::Status AddRunNotes(const RunSeries& run, Response& response) {
  for (const std::string& note : RoleNotes(run, RolesOfSummary())) {
    response.add_notes(note);
  }
  ASSIGN_OR_RETURN(const auto measuring, run.MeasuringNotes());
  for (const std::string& note : measuring) response.add_notes(note);
  const std::string of = absl::StrCat("run ", run.run().name(), ": ");
  if (run.tokens().steps() < analytics::kFewestForJumps) {
    response.add_notes(absl::StrCat(of, "fewer than ",
                                    analytics::kFewestForJumps,
                                    " checkpoints tell no jumps"));
  }
  if (run.same_weights().empty()) return absl::OkStatus();
  response.add_notes(absl::StrCat(of, run.same_weights().size(),
                                  " steps with the weights of another step are "
                                  "left out, the first is ",
                                  run.same_weights()[0]));
  return absl::OkStatus();
}

// The descriptors of metrics that some fact is about, in their order.
template <typename Response>
void AddMetrics(const RunSeries& run, const Facts& facts, Response& response) {
  std::set<std::string> named;
  for (const v1::Fact& fact : facts) named.insert(fact.metric());
  for (const v1::MetricDescriptor& metric : run.metrics()) {
    if (named.count(metric.name()) > 0) *response.add_metrics() = metric;
  }
}

absl::StatusOr<Facts> FactsOf(RunSeries& run) {
  Facts facts;
  RETURN_IF_ERROR(AddRunFact(run, facts));
  ASSIGN_OR_RETURN(const std::vector<RunOnset> onsets, OnsetsOf(run));
  AddOnsetFacts(run, onsets, facts);
  AddOrderFacts(run, onsets, facts);
  RETURN_IF_ERROR(AddJumpFacts(run, /*with_heads=*/true, facts));
  RETURN_IF_ERROR(AddStateFacts(run, facts));
  RETURN_IF_ERROR(AddFitFacts(run, onsets, facts));
  RETURN_IF_ERROR(AddLossFacts(run, facts));
  const Facts findings = analytics::Diagnose(facts, RolesOf(run.metrics()));
  facts.insert(facts.end(), findings.begin(), findings.end());
  return facts;
}

absl::Status CheckRuns(const v1::CompareRunsRequest& request) {
  const std::set<std::string> runs(request.runs().begin(),
                                   request.runs().end());
  if (request.runs_size() < 2) {
    return answers::BadParameter("missing_parameter",
                                 "at least two runs are needed");
  }
  if (static_cast<int>(runs.size()) < request.runs_size()) {
    return answers::BadParameter("repeated_parameter",
                                 "a run cannot be compared with itself");
  }
  if (request.runs_size() <= kMaxRuns) return absl::OkStatus();
  return answers::BadParameter("out_of_range",
                               absl::StrCat("more than ", kMaxRuns, " runs"));
}

// The domains that all runs have, in the order of the first; those that are
// asked for, if any are.
absl::StatusOr<std::vector<std::string>> CommonDomains(
    Queries& queries, const v1::CompareRunsRequest& request) {
  if (request.domains_size() > 0) {
    return std::vector<std::string>(request.domains().begin(),
                                    request.domains().end());
  }
  std::vector<std::string> common;
  for (int i = 0; i < request.runs_size(); ++i) {
    ASSIGN_OR_RETURN(const v1::RunStatus run, queries.Run(request.runs(i)));
    const std::vector<std::string> domains = DefaultDomains(run);
    if (i == 0) common = domains;
    common.erase(std::remove_if(common.begin(), common.end(),
                                [&](const std::string& domain) {
                                  return std::count(domains.begin(),
                                                    domains.end(), domain) == 0;
                                }),
                 common.end());
  }
  if (!common.empty()) return common;
  return absl::FailedPreconditionError(absl::StrCat(
      "no domain is measured in all of ", absl::StrJoin(request.runs(), ", ")));
}

// By the run that each fact is about.
void TellTokensOf(const std::vector<ComparedRun>& runs, Facts& facts) {
  for (v1::Fact& fact : facts) {
    for (const ComparedRun& run : runs) {
      if (run.series->run().name() != fact.run()) continue;
      TellTokens(run.series->tokens(), fact);
    }
  }
}

absl::StatusOr<ComparedRun> OpenCompared(
    Queries* queries, const v1::CompareRunsRequest& request,
    const std::string& name, const std::vector<std::string>& domains) {
  RunChoice choice;
  choice.run = name;
  if (request.has_stage()) choice.stage = request.stage();
  choice.domains = domains;
  ComparedRun run;
  ASSIGN_OR_RETURN(run.series, RunSeries::Open(queries, choice));
  ASSIGN_OR_RETURN(run.onsets, OnsetsOf(*run.series));
  RETURN_IF_ERROR(AddJumpFacts(*run.series, /*with_heads=*/false, run.jumps));
  if (run.series->Playing(v1::METRIC_ROLE_DORMANCY) != nullptr) {
    ASSIGN_OR_RETURN(
        run.history,
        FollowHeads(*run.series, StateRuleOf(*run.series, {}), std::nullopt));
  }
  return run;
}

}  // namespace

absl::StatusOr<v1::SummarizeResponse> Analyses::Summary(
    const v1::SummarizeRequest& request) {
  v1::SummarizeResponse response;
  response.set_revision(queries_->revision());
  RunChoice choice;
  choice.run = request.run();
  if (request.has_stage()) choice.stage = request.stage();
  choice.domains = {request.domains().begin(), request.domains().end()};
  choice.include_implausible = request.include_implausible();
  ASSIGN_OR_RETURN(const auto run, RunSeries::Open(queries_, choice));
  ASSIGN_OR_RETURN(Facts facts, FactsOf(*run));
  for (v1::Fact& fact : facts) TellTokens(run->tokens(), fact);
  *response.mutable_facts() = {facts.begin(), facts.end()};
  response.set_stage(run->stage());
  for (const std::string& domain : run->domains()) {
    response.add_domains(domain);
  }
  AddMetrics(*run, facts, response);
  response.add_notes(kHowIntervals);
  const std::string states = StatesNote(*run, StateRuleOf(*run, {}));
  if (!states.empty()) response.add_notes(states);
  RETURN_IF_ERROR(AddRunNotes(*run, response));
  return response;
}

absl::StatusOr<v1::CompareRunsResponse> Analyses::Comparison(
    const v1::CompareRunsRequest& request) {
  v1::CompareRunsResponse response;
  response.set_revision(queries_->revision());
  RETURN_IF_ERROR(CheckRuns(request));
  ASSIGN_OR_RETURN(const std::vector<std::string> domains,
                   CommonDomains(*queries_, request));
  std::vector<ComparedRun> runs;
  for (const std::string& name : request.runs()) {
    ASSIGN_OR_RETURN(ComparedRun run,
                     OpenCompared(queries_, request, name, domains));
    runs.push_back(std::move(run));
  }
  Facts facts;
  for (ComparedRun& run : runs) {
    RETURN_IF_ERROR(AddRunFact(*run.series, facts));
  }
  AddOnsetComparison(runs, facts);
  AddJumpComparison(runs, facts);
  AddSwitchingComparison(runs, facts);
  RETURN_IF_ERROR(AddLossComparison(runs, facts));
  RETURN_IF_ERROR(AddBands(runs, request.seeds(), facts));
  TellTokensOf(runs, facts);
  *response.mutable_facts() = {facts.begin(), facts.end()};
  for (const std::string& domain : domains) response.add_domains(domain);
  AddMetrics(*runs[0].series, facts, response);
  response.add_notes(kHowIntervals);
  for (const ComparedRun& run : runs) {
    RETURN_IF_ERROR(AddRunNotes(*run.series, response));
  }
  return response;
}

}  // namespace sinkwatch::query

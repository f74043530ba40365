// The endpoints that say what numbers mean: states, contrast, jumps, fits,
// summary, compare, report, references.
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/base/status_macros.h"
#include "server/answers/analysis_tables.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"
#include "server/answers/report.h"
#include "server/http/endpoint.h"
#include "server/http/selection.h"
#include "server/query/analyses.h"

namespace sinkwatch::http {
namespace {

using answers::Extras;

template <typename List>
Extras ListJson(const List& list) {
  Extras json = Extras::array();
  for (const std::string& one : list) json.push_back(one);
  return json;
}

// A number that is given, or none.
void SetNumber(Params& params, const char* name,
               const std::function<void(double)>& set) {
  if (!params.Text(name, "").empty()) set(params.Number(name, 0));
}

Extras RuleJson(const v1::StateRule& rule) {
  return {{"dormant", rule.dormant()},        {"active", rule.active()},
          {"drained", rule.drained()},        {"quiet", rule.quiet()},
          {"contrast", rule.contrast()},      {"awake", rule.awake()},
          {"consecutive", rule.consecutive()}};
}

absl::StatusOr<Answer> States(const Rooms& rooms, Params& params) {
  v1::GetStatesRequest request;
  request.set_run(params.Required("run"));
  SelectDomains(params, &request);
  SelectHeads(params, &request);
  const int64_t step = params.Int("step", -1, 0, INT64_MAX);
  if (step >= 0) request.set_step(step);
  request.set_include_implausible(params.Bool("include_implausible"));
  v1::StateRule& rule = *request.mutable_rule();
  SetNumber(params, "dormant", [&](double v) { rule.set_dormant(v); });
  SetNumber(params, "active", [&](double v) { rule.set_active(v); });
  SetNumber(params, "drained", [&](double v) { rule.set_drained(v); });
  SetNumber(params, "quiet", [&](double v) { rule.set_quiet(v); });
  SetNumber(params, "contrast", [&](double v) { rule.set_contrast(v); });
  SetNumber(params, "awake", [&](double v) { rule.set_awake(v); });
  rule.set_consecutive(
      static_cast<int32_t>(params.Int("consecutive", 0, 0, 1000)));
  const bool changes = params.Bool("changes");
  RETURN_IF_ERROR(params.status());
  ASSIGN_OR_RETURN(const v1::GetStatesResponse states,
                   query::Analyses(&rooms.queries).States(request));
  Answer answer;
  answer.table = changes ? answers::StateChangesTable(states)
                         : answers::StatesTable(states);
  if (changes) answer.total = states.total_changes();
  answer.extras = {{"stage", states.stage()},
                   {"step", states.step()},
                   {"domains", ListJson(states.domains())},
                   {"dormancy", states.dormancy().name()},
                   {"drain", states.drain().name()},
                   {"write", states.write().name()},
                   {"rule", RuleJson(states.rule())},
                   {"total_changes", states.total_changes()},
                   {"notes", ListJson(states.notes())}};
  return answer;
}

absl::StatusOr<Answer> Contrast(const Rooms& rooms, Params& params) {
  v1::CompareDomainsRequest request;
  request.set_run(params.Required("run"));
  SelectStage(params, &request);
  request.set_metric(params.Text("metric", ""));
  const int64_t step = params.Int("step", -1, 0, INT64_MAX);
  if (step >= 0) request.set_step(step);
  const std::vector<std::string> domains =
      absl::StrSplit(params.Required("domain"), ',', absl::SkipEmpty());
  RETURN_IF_ERROR(params.status());
  if (domains.size() != 2) {
    return answers::BadParameter("not_a_list",
                                 "domain=a,b: two domains are needed");
  }
  request.set_first_domain(domains[0]);
  request.set_second_domain(domains[1]);
  ASSIGN_OR_RETURN(const v1::CompareDomainsResponse contrasts,
                   query::Analyses(&rooms.queries).Domains(request));
  Answer answer;
  answer.table = answers::ContrastsTable(contrasts);
  answer.extras = {{"stage", contrasts.stage()},
                   {"step", contrasts.step()},
                   {"metric", contrasts.metric().name()},
                   {"first", domains[0]},
                   {"second", domains[1]},
                   {"notes", ListJson(contrasts.notes())}};
  return answer;
}

absl::StatusOr<Answer> Jumps(const Rooms& rooms, Params& params) {
  v1::FindJumpsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(params));
  request.set_min_score(params.Number("min_score", 0));
  const bool intervals = params.Bool("intervals");
  RETURN_IF_ERROR(params.status());
  ASSIGN_OR_RETURN(const v1::FindJumpsResponse jumps,
                   query::Analyses(&rooms.queries).Jumps(request));
  Answer answer;
  answer.table = intervals ? answers::JumpIntervalsTable(jumps)
                           : answers::JumpsTable(jumps);
  answer.extras = {{"stage", jumps.stage()},
                   {"metric", jumps.metric().name()},
                   {"min_score", jumps.min_score()},
                   {"notes", ListJson(jumps.notes())}};
  return answer;
}

absl::StatusOr<Answer> Fits(const Rooms& rooms, Params& params) {
  v1::FitSeriesRequest request;
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(params));
  const int64_t first = params.Int("first_step", -1, 0, INT64_MAX);
  const int64_t last = params.Int("last_step", -1, 0, INT64_MAX);
  if (first >= 0) request.set_first_step(first);
  if (last >= 0) request.set_last_step(last);
  RETURN_IF_ERROR(params.status());
  ASSIGN_OR_RETURN(const v1::FitSeriesResponse fits,
                   query::Analyses(&rooms.queries).Fits(request));
  Answer answer;
  answer.table = answers::FitsTable(fits);
  answer.extras = {{"stage", fits.stage()},
                   {"metric", fits.metric().name()},
                   {"notes", ListJson(fits.notes())}};
  return answer;
}

absl::StatusOr<Answer> Summary(const Rooms& rooms, Params& params) {
  v1::SummarizeRequest request;
  request.set_run(params.Required("run"));
  SelectDomains(params, &request);
  request.set_include_implausible(params.Bool("include_implausible"));
  RETURN_IF_ERROR(params.status());
  ASSIGN_OR_RETURN(const v1::SummarizeResponse summary,
                   query::Analyses(&rooms.queries).Summary(request));
  Answer answer;
  answer.table = answers::FactsTable(summary.facts());
  answer.extras = {{"stage", summary.stage()},
                   {"domains", ListJson(summary.domains())},
                   {"notes", ListJson(summary.notes())}};
  return answer;
}

absl::StatusOr<Answer> Compare(const Rooms& rooms, Params& params) {
  v1::CompareRunsRequest request;
  AddNames(params.Required("runs"), request.mutable_runs());
  SelectDomains(params, &request);
  request.set_seeds(params.Bool("seeds"));
  RETURN_IF_ERROR(params.status());
  ASSIGN_OR_RETURN(const v1::CompareRunsResponse comparison,
                   query::Analyses(&rooms.queries).Comparison(request));
  Answer answer;
  answer.table = answers::FactsTable(comparison.facts());
  answer.extras = {{"domains", ListJson(comparison.domains())},
                   {"notes", ListJson(comparison.notes())}};
  return answer;
}

absl::Status NoReferences() {
  return absl::FailedPreconditionError("this server has no references");
}

// run, model, relative, absolute.
v1::CheckReferencesRequest Tolerance(Params& params) {
  v1::CheckReferencesRequest request;
  request.set_run(params.Required("run"));
  request.set_model(params.Text("model", ""));
  request.set_relative(params.Number("relative", 0));
  request.set_absolute(params.Number("absolute", 0));
  return request;
}

absl::StatusOr<Document> Report(const Rooms& rooms, Params& params,
                                const std::string& shape) {
  v1::SummarizeRequest request;
  request.set_run(params.Required("run"));
  SelectDomains(params, &request);
  const std::vector<std::string> references =
      absl::StrSplit(params.Text("reference", ""), ',', absl::SkipEmpty());
  const v1::CheckReferencesRequest asked = Tolerance(params);
  RETURN_IF_ERROR(params.status());
  answers::Report report;
  report.run = request.run();
  ASSIGN_OR_RETURN(report.summary,
                   query::Analyses(&rooms.queries).Summary(request));
  for (const auto& series : answers::ReportSeries(report.run, report.summary)) {
    ASSIGN_OR_RETURN(v1::QuerySeriesResponse curve,
                     rooms.queries.Series(series));
    report.series.push_back(std::move(curve));
  }
  for (const auto& check :
       answers::ReportChecks(asked, references, report.summary)) {
    if (rooms.references == nullptr) return NoReferences();
    ASSIGN_OR_RETURN(v1::CheckReferencesResponse checks,
                     rooms.references->Check(check));
    report.checks.push_back(std::move(checks));
  }
  if (shape == "markdown") {
    return Document{"text/markdown; charset=utf-8", ReportMarkdown(report)};
  }
  return Document{"text/html; charset=utf-8", ReportHtml(report)};
}

absl::StatusOr<Answer> ListReferences(const Rooms& rooms, Params& params) {
  v1::ListReferencesRequest request;
  request.set_reference(params.Text("reference", ""));
  request.set_model(params.Text("model", ""));
  request.set_metric(params.Text("metric", ""));
  RETURN_IF_ERROR(params.status());
  if (rooms.references == nullptr) return NoReferences();
  ASSIGN_OR_RETURN(const v1::ListReferencesResponse list,
                   rooms.references->List(request));
  Answer answer;
  answer.table = answers::ReferencesTable(list);
  return answer;
}

absl::StatusOr<Answer> CheckReferences(const Rooms& rooms, Params& params) {
  v1::CheckReferencesRequest request = Tolerance(params);
  request.set_reference(params.Required("reference"));
  SelectStage(params, &request);
  const std::string domain = params.Text("domain", "");
  if (!domain.empty()) request.set_domain(domain);
  request.set_metric(params.Text("metric", ""));
  RETURN_IF_ERROR(params.status());
  if (rooms.references == nullptr) return NoReferences();
  ASSIGN_OR_RETURN(const v1::CheckReferencesResponse checks,
                   rooms.references->Check(request));
  Answer answer;
  answer.table = answers::ReferenceChecksTable(checks);
  answer.extras = {{"domain", checks.domain()},
                   {"passed", checks.passed()},
                   {"failed", checks.failed()},
                   {"relative", checks.relative()},
                   {"absolute", checks.absolute()}};
  return answer;
}

}  // namespace

std::vector<Endpoint> AnalysisEndpoints() {
  const Parameter same_weights = {
      "include_same_weights",
      "1: with steps that have the weights of another step"};
  const std::vector<std::string> shapes = {"table", "records"};
  return {
      {"states",
       "what each head does on each domain, and whether it switches",
       {kRun,
        kStage,
        kDomains,
        kLayer,
        kHead,
        {"step", "as of that step; the newest if left out"},
        {"changes", "1: the changes of state, newest first, instead"},
        {"dormant", "dormant from this dormancy on; the metric's own, or .9"},
        {"active", "active up to this dormancy; the metric's own, or .1"},
        {"drained", "drained up to this; the metric's own, or .5"},
        {"quiet", "quiet up to this share of its largest write, or .3"},
        {"contrast", "switching from this difference on, or .3"},
        {"awake", "and from this dormancy on some domain, or .5"},
        {"consecutive", "checkpoints that make a change; 2 if left out"},
        kImplausible},
       shapes,
       false,
       States},
      {"contrast",
       "one metric on two domains at one step, head by head",
       {kRun,
        {"domain", "the two domains: a,b", true},
        kStage,
        {"metric", "that which tells dormancy, if left out"},
        {"step", "the latest if left out"}},
       shapes,
       false,
       Contrast},
      {"jumps", "between which checkpoints a metric jumped",
       SeriesParameters(
           kAnyDomain,
           {{"min_score", "times its noise that a change must be; 6"},
            {"intervals", "1: intervals with how many series jumped, instead"},
            same_weights}),
       shapes, false, Jumps},
      {"fits", "which curve a metric follows over the steps, by AIC",
       SeriesParameters(
           kAnyDomain,
           {{"agg", "over heads: each, mean, median, p10, p90, max or min"},
            {"first_step", "from here on; from emergence on if left out"},
            {"last_step", "up to here"},
            same_weights}),
       shapes, false, Fits},
      {"summary",
       "what is to be said of a run: onsets, jumps, states, growth",
       {kRun, kStage, kDomains, kImplausible},
       shapes,
       false,
       Summary},
      {"compare",
       "runs beside each other, each against the first",
       {{"runs", "the runs: a,b,c", true},
        kStage,
        kDomains,
        {"seeds", "1: the runs differ in nothing but their seed"}},
       shapes,
       false,
       Compare},
      {"report",
       "a run on one page: facts, plots, published values, definitions, "
       "caveats",
       {kRun,
        kStage,
        kDomains,
        {"reference", "published values beside the own ones: a,b"},
        {"model", "of them only that model's"},
        {"relative", "share of the published value; .05 if neither is given"},
        {"absolute", "beside it"}},
       {"html", "markdown"},
       false,
       nullptr,
       Report},
      {"references",
       "published numbers: those that are shipped and those that were added",
       {{"reference", "of that name; all if left out"},
        {"model", "of that model"},
        {"metric", "of that metric"}},
       shapes,
       true,
       ListReferences},
      {"reference_check",
       "own values beside published ones: pass or fail",
       {kRun,
        {"reference", "the table's name", true},
        kStage,
        kDomain,
        {"model", "of that model"},
        {"metric", "of that metric"},
        {"relative", "share of the published value; .05 if neither is given"},
        {"absolute", "beside it"}},
       shapes,
       true,
       CheckReferences}};
}

}  // namespace sinkwatch::http

#include "server/ctl/analysis_commands.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/answers/analysis_tables.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"
#include "server/answers/report.h"
#include "server/ctl/analysis_context.h"

namespace sinkwatch::ctl {
namespace {

using answers::Table;
using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;
using Facts = google::protobuf::RepeatedPtrField<v1::Fact>;

// Chapter by chapter, a sentence a line. Of names that the server tells,
// nothing drives a terminal.
void PrintFacts(const Context& c, const Facts& facts) {
  for (const answers::Chapter& chapter : answers::Chapters()) {
    bool begun = false;
    for (const v1::Fact& fact : facts) {
      if (fact.topic() != chapter.topic) continue;
      if (!begun) c.out << chapter.title << "\n";
      begun = true;
      c.out << "  " << Printable(fact.text()) << "\n";
      for (const std::string& evidence : fact.evidence()) {
        c.out << "    because " << Printable(evidence) << "\n";
      }
    }
    if (begun) c.out << "\n";
  }
}

template <typename Answer>
absl::Status PrintAnswer(const Context& c, const Answer& answer) {
  if (!c.for_people()) return Print(c, answers::FactsTable(answer.facts()));
  PrintFacts(c, answer.facts());
  PrintNotes(c, answer.notes());
  return absl::OkStatus();
}

absl::Status Summary(const Context& c) {
  v1::SummarizeRequest request;
  SetRunAndStage(c, &request);
  AddNames(c.args.List("domain"), request.mutable_domains());
  request.set_include_implausible(c.args.Has("implausible"));
  ASSIGN_OR_RETURN(
      const v1::SummarizeResponse summary,
      c.client.Ask(&v1::AnalysisService::Stub::Summarize, request));
  return PrintAnswer(c, summary);
}

CommandSpec SummarySpec() {
  return {"summary",
          {"RUN"},
          "what is to be said of a run: onsets, jumps, states, growth",
          {Domains(), Stage(), Implausible(), All()},
          {"summary olmo2-1b", "summary olmo2-1b -o json"}};
}

absl::Status Compare(const Context& c) {
  v1::CompareRunsRequest request;
  AddNames(c.args.All("run"), request.mutable_runs());
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage"));
  AddNames(c.args.List("domain"), request.mutable_domains());
  request.set_seeds(c.args.Has("seeds"));
  ASSIGN_OR_RETURN(
      const v1::CompareRunsResponse comparison,
      c.client.Ask(&v1::AnalysisService::Stub::CompareRuns, request));
  return PrintAnswer(c, comparison);
}

CommandSpec CompareSpec() {
  return {"compare",
          {"RUN..."},
          "runs beside each other, each against the first",
          {Domains(),
           Stage(),
           {"seeds", "", "the runs differ in nothing but their seed"},
           All()},
          {"compare olmo2-1b olmo2-7b", "compare toy-seed1 toy-seed2 --seeds"}};
}

absl::StatusOr<answers::Report> FetchReport(const Context& c) {
  v1::SummarizeRequest request;
  SetRunAndStage(c, &request);
  AddNames(c.args.List("domain"), request.mutable_domains());
  answers::Report report;
  report.run = request.run();
  ASSIGN_OR_RETURN(
      report.summary,
      c.client.Ask(&v1::AnalysisService::Stub::Summarize, request));
  for (const auto& series : answers::ReportSeries(report.run, report.summary)) {
    ASSIGN_OR_RETURN(v1::QuerySeriesResponse curve, c.client.Series(series));
    report.series.push_back(std::move(curve));
  }
  v1::CheckReferencesRequest asked;
  asked.set_run(report.run);
  asked.set_model(c.args.Get("model"));
  asked.set_relative(c.args.Number("relative"));
  asked.set_absolute(c.args.Number("absolute"));
  for (const auto& check :
       answers::ReportChecks(asked, c.args.List("reference"), report.summary)) {
    ASSIGN_OR_RETURN(
        v1::CheckReferencesResponse checks,
        c.client.Ask(&v1::AnalysisService::Stub::CheckReferences, check));
    report.checks.push_back(std::move(checks));
  }
  return report;
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat("cannot write ", path));
}

absl::Status WriteReport(const Context& c) {
  if (!c.for_people()) {
    return absl::InvalidArgumentError(
        "a report is markdown or html (--form); `summary` has its facts as "
        "json and csv");
  }
  const std::string path = c.args.Get("output");
  const bool html = c.args.Has("form") ? c.args.Get("form") == "html"
                                       : absl::EndsWith(path, ".html");
  ASSIGN_OR_RETURN(const answers::Report report, FetchReport(c));
  const std::string text =
      html ? answers::ReportHtml(report) : answers::ReportMarkdown(report);
  if (!path.empty()) return WriteFile(path, text);
  c.out << text;
  return absl::OkStatus();
}

CommandSpec ReportSpec() {
  return {
      "report",
      {"RUN"},
      "a run on one page: facts, plots, published values, definitions, caveats",
      {Domains(), Stage(),
       FlagSpec{"reference", "A,B,..",
                "published values beside the own ones; default: none"}
           .Example("guo-2410.13835"),
       FlagSpec{"model", "NAME", "of them only that model's; default: all"}
           .Example("olmo-1b-0724"),
       Relative(), Absolute(),
       FlagSpec{"form", "FORM", "default: as the file's name, else markdown"}
           .OneOf({"markdown", "html"})
           .Example("html"),
       FlagSpec{"output", "FILE", "where to; default: standard output"}.Example(
           "report.html")},
      {"report olmo2-1b --output=report.html", "report olmo2-1b > report.md",
       "report toy --reference=guo-2410.13835 --output=toy.html"}};
}

// Which series a question about jumps or fits is about.
std::vector<FlagSpec> WithSeries(const std::vector<FlagSpec>& flags) {
  std::vector<FlagSpec> all = {
      FlagSpec{"metric", "NAME", "see `sinkctl metrics`; default: none"}
          .Example("residual_norm_sink"),
      FlagSpec{"domain", "NAME", "text domain; default: all of the run's"}
          .Example("wiki"),
      Stage(),
      With(),
      FlagSpec{"layer", "LIST", "default: all"}.Example("0,2,5-7"),
      FlagSpec{"head", "LIST", "default: all"}.Example("0,2,5-7"),
      Implausible(),
      {"same-weights", "", "with steps that have another step's weights"}};
  all.insert(all.end(), flags.begin(), flags.end());
  return all;
}

absl::StatusOr<v1::SeriesSelector> Select(const Context& c) {
  v1::SeriesSelector selector;
  SetRunAndStage(c, &selector);
  AddNames(c.args.List("with"), selector.mutable_more_runs());
  selector.set_metric(c.args.Get("metric"));
  if (c.args.Has("domain")) selector.set_domain(c.args.Get("domain"));
  ASSIGN_OR_RETURN(const std::vector<int32_t> layers,
                   answers::ParseInts(c.args.Get("layer")));
  ASSIGN_OR_RETURN(const std::vector<int32_t> heads,
                   answers::ParseInts(c.args.Get("head")));
  selector.mutable_layers()->Add(layers.begin(), layers.end());
  selector.mutable_heads()->Add(heads.begin(), heads.end());
  selector.set_include_implausible(c.args.Has("implausible"));
  selector.set_include_same_weights(c.args.Has("same-weights"));
  return selector;
}

bool KnowTokens(const v1::FindJumpsResponse& jumps) {
  const auto& all = jumps.jumps();
  return std::any_of(all.begin(), all.end(),
                     [](const v1::Jump& jump) { return jump.has_by_tokens(); });
}

// Without the columns of tokens where no tokens are known.
Table IntervalsTable(const v1::FindJumpsResponse& jumps) {
  Table table = answers::JumpIntervalsTable(jumps);
  if (KnowTokens(jumps)) return table;
  return Pick(table, {"run", "domain", "after_step", "by_step", "series", "of",
                      "median_change", "max_score"});
}

absl::Status Jumps(const Context& c) {
  v1::FindJumpsRequest request;
  ASSIGN_OR_RETURN(*request.mutable_selector(), Select(c));
  request.set_min_score(c.args.Number("min-score"));
  ASSIGN_OR_RETURN(
      const v1::FindJumpsResponse jumps,
      c.client.Ask(&v1::AnalysisService::Stub::FindJumps, request));
  Table table = c.args.Has("intervals") ? answers::JumpIntervalsTable(jumps)
                                        : answers::JumpsTable(jumps);
  if (!c.for_people()) return Print(c, table);
  PrintMeaning(c, jumps.metric());
  c.out << "changes of " << jumps.min_score()
        << " times their noise or more, that stay:\n\n";
  PrintNotes(c, jumps.notes());
  if (jumps.jumps().empty()) {
    c.out << "none\n";
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Print(c, IntervalsTable(jumps)));
  if (c.args.Has("intervals")) return absl::OkStatus();
  c.out << "\n";
  std::vector<std::string> columns = {
      "run",    "domain", "series", "after_step", "by_step",
      "before", "after",  "change", "score",      "provisional"};
  if (KnowTokens(jumps)) {
    columns.insert(columns.end(), {"after_tokens", "by_tokens"});
  }
  table = Pick(table, columns);
  Cut(c, c.args.Int("limit"), "jumps", &table);
  return Print(c, table);
}

CommandSpec JumpsSpec() {
  return {
      "jumps",
      {"RUN", "METRIC"},
      "between which checkpoints a metric jumped",
      WithSeries(
          {FlagSpec{"min-score", "X", "times its noise that a change must be"}
               .Of(ValueKind::kNumber)
               .Default("6")
               .Example("10"),
           {"intervals", "", "intervals, with how many series, only"},
           Limit("how many jumps; 0 means all", "20", "100"),
           All()}),
      {"jumps olmo2-1b residual_norm_sink"}};
}

absl::Status Fits(const Context& c) {
  v1::FitSeriesRequest request;
  ASSIGN_OR_RETURN(*request.mutable_selector(), Select(c));
  ASSIGN_OR_RETURN(const v1::Aggregation aggregation,
                   answers::ParseAggregation(c.args.Get("agg")));
  request.mutable_selector()->set_aggregation(aggregation);
  if (c.args.Has("first-step")) {
    request.set_first_step(c.args.Int("first-step"));
  }
  if (c.args.Has("last-step")) request.set_last_step(c.args.Int("last-step"));
  ASSIGN_OR_RETURN(
      const v1::FitSeriesResponse fits,
      c.client.Ask(&v1::AnalysisService::Stub::FitSeries, request));
  PrintMeaning(c, fits.metric());
  if (c.for_people()) {
    c.out << "linear a + b t; log a + b ln t; saturating a + b (1 - exp(-t / "
             "c)); log_exponential a exp(-c t) ln t + b; power exp(a) t^b\n\n";
  }
  PrintNotes(c, fits.notes());
  return Print(c, answers::FitsTable(fits));
}

CommandSpec FitsSpec() {
  return {"fits",
          {"RUN", "METRIC"},
          "which curve a metric follows over the steps, by AIC",
          WithSeries({FlagSpec{"agg", "HOW", "over the heads of a layer"}
                          .OneOf({"each", "mean", "median", "p90", "max", "min",
                                  "p10"})
                          .Default("each")
                          .Example("median"),
                      FlagSpec{"first-step", "N",
                               "from here on; default: from emergence on"}
                          .Of(ValueKind::kWhole)
                          .Example("1000"),
                      FlagSpec{"last-step", "N", "up to here; default: the end"}
                          .Of(ValueKind::kWhole)
                          .Example("20000"),
                      All()}),
          {"fits olmo2-1b sink_delta_logit --agg=median --domain=wiki"}};
}

}  // namespace

std::vector<Command> AnalysisCommands() {
  return {{SummarySpec(), Summary},
          {CompareSpec(), Compare},
          {ReportSpec(), WriteReport},
          {JumpsSpec(), Jumps},
          {FitsSpec(), Fits}};
}

}  // namespace sinkwatch::ctl

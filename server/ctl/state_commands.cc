#include "server/ctl/state_commands.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/answers/analysis_tables.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"
#include "server/ctl/analysis_context.h"

namespace sinkwatch::ctl {
namespace {

using answers::Table;
using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

v1::StateRule RuleOf(const Context& c) {
  v1::StateRule rule;
  if (c.args.Has("dormant")) rule.set_dormant(c.args.Number("dormant"));
  if (c.args.Has("active")) rule.set_active(c.args.Number("active"));
  if (c.args.Has("drained")) rule.set_drained(c.args.Number("drained"));
  if (c.args.Has("quiet")) rule.set_quiet(c.args.Number("quiet"));
  if (c.args.Has("contrast")) rule.set_contrast(c.args.Number("contrast"));
  if (c.args.Has("awake")) rule.set_awake(c.args.Number("awake"));
  rule.set_consecutive(static_cast<int32_t>(c.args.Int("consecutive")));
  return rule;
}

// domain, and how many heads are in each state there.
Table CountsTable(const v1::GetStatesResponse& states) {
  Table table{{"domain"}, {}};
  for (v1::HeadState state : answers::AllHeadStates()) {
    table.columns.push_back(answers::HeadStateName(state));
  }
  for (int d = 0; d < states.domains_size(); ++d) {
    std::map<v1::HeadState, int64_t> counts;
    for (const v1::HeadStates& head : states.heads()) {
      ++counts[head.domains(d).state()];
    }
    table.rows.push_back({states.domains(d)});
    for (v1::HeadState state : answers::AllHeadStates()) {
      table.rows.back().emplace_back(counts[state]);
    }
  }
  return table;
}

void PrintRule(const Context& c, const v1::GetStatesResponse& states) {
  const v1::StateRule& rule = states.rule();
  c.out << "at step " << states.step() << ", by " << states.dormancy().name()
        << ": dormant from " << rule.dormant() << " on, active up to "
        << rule.active() << ", switching from a difference of "
        << rule.contrast() << " on; " << rule.consecutive()
        << " checkpoints make a change\n\n";
}

absl::Status States(const Context& c) {
  v1::GetStatesRequest request;
  SetRunAndStage(c, &request);
  AddNames(c.args.List("domain"), request.mutable_domains());
  ASSIGN_OR_RETURN(const std::vector<int32_t> layers,
                   answers::ParseInts(c.args.Get("layer")));
  ASSIGN_OR_RETURN(const std::vector<int32_t> heads,
                   answers::ParseInts(c.args.Get("head")));
  request.mutable_layers()->Add(layers.begin(), layers.end());
  request.mutable_heads()->Add(heads.begin(), heads.end());
  if (c.args.Has("step")) request.set_step(c.args.Int("step"));
  request.set_include_implausible(c.args.Has("implausible"));
  *request.mutable_rule() = RuleOf(c);
  ASSIGN_OR_RETURN(
      const v1::GetStatesResponse states,
      c.client.Ask(&v1::AnalysisService::Stub::GetStates, request));
  Table table = c.args.Has("changes") ? answers::StateChangesTable(states)
                                      : answers::StatesTable(states);
  if (!c.for_people()) return Print(c, table);
  PrintRule(c, states);
  RETURN_IF_ERROR(Print(c, CountsTable(states)));
  c.out << "\n";
  if (!c.args.Has("changes")) {
    std::vector<std::string> columns = {"layer", "head", "type", "since_step"};
    for (const std::string& domain : states.domains()) {
      columns.push_back(domain);
      columns.push_back(domain + " dormancy");
    }
    if (!c.args.Has("all")) table = Pick(table, columns);
  }
  Cut(c, c.args.Int("limit"), c.args.Has("changes") ? "changes" : "heads",
      &table);
  RETURN_IF_ERROR(Print(c, table));
  PrintNotes(c, states.notes());
  return absl::OkStatus();
}

FlagSpec Bound(const char* name, const char* help, const char* example) {
  return FlagSpec{name, "X", help}.Of(ValueKind::kNumber).Example(example);
}

CommandSpec StatesSpec() {
  return {
      "states",
      {"RUN"},
      "what each head does on each domain, and whether it switches",
      {Domains(),
       Stage(),
       FlagSpec{"layer", "LIST", "default: all"}.Example("0,2,5-7"),
       FlagSpec{"head", "LIST", "default: all"}.Example("0,2,5-7"),
       FlagSpec{"step", "N", "as of that step; default: the newest"}
           .Of(ValueKind::kWhole)
           .Example("1000"),
       {"changes", "", "the changes of state, newest first, instead"},
       Bound("dormant", "dormant from there on; default: the metric's", ".9"),
       Bound("active", "active up to there; default: the metric's", ".1"),
       Bound("drained", "drained up to there; default: the metric's", ".5"),
       Bound("quiet", "of its largest write; default: the metric's", ".3"),
       Bound("contrast", "switching from there; default: the metric's", ".3"),
       Bound("awake", "dormancy of a switching head; default: .5", ".5"),
       FlagSpec{"consecutive", "N", "checkpoints that make a change"}
           .Of(ValueKind::kPositive)
           .Default("2")
           .Example("3"),
       Limit("how many rows; 0 means all", "20", "100"),
       Implausible(),
       All()},
      {"states olmo2-1b --domain=wiki,code",
       "states olmo2-1b --changes --limit=50"}};
}

constexpr size_t kHeadsShown = 20;

// The rows that are shown: as many as asked for; else those that switch, and
// twenty at least.
size_t LimitOf(const Context& c, const v1::CompareDomainsResponse& contrasts) {
  if (c.args.Has("limit")) return c.args.Int("limit");
  const auto& rows = contrasts.contrasts();
  const size_t switching = std::count_if(
      rows.begin(), rows.end(), [](const v1::DomainContrast& row) {
        return row.type() == v1::HEAD_TYPE_SWITCHING;
      });
  return std::max(kHeadsShown, switching);
}

bool HaveSequences(const v1::CompareDomainsResponse& contrasts) {
  const auto& rows = contrasts.contrasts();
  return std::any_of(
      rows.begin(), rows.end(),
      [](const v1::DomainContrast& row) { return row.contrast().has_auroc(); });
}

// Values that are not known come last, whichever end is first.
void SortByDifference(bool ascending, v1::CompareDomainsResponse* contrasts) {
  const auto size = [&](const v1::DomainContrast& row) {
    const double difference = std::abs(row.contrast().difference());
    if (std::isnan(difference)) return -1.0;
    return ascending ? 1 / (1e-9 + difference) : difference;
  };
  std::stable_sort(
      contrasts->mutable_contrasts()->begin(),
      contrasts->mutable_contrasts()->end(),
      [&](const v1::DomainContrast& a, const v1::DomainContrast& b) {
        return size(a) > size(b);
      });
}

}  // namespace

absl::Status HeadsByDifference(const Context& c) {
  const std::vector<std::string> domains = c.args.List("domain");
  const std::vector<std::string> metrics = c.args.List("metric");
  if (domains.size() != 2 || metrics.size() > 1) {
    return absl::InvalidArgumentError(
        "a difference needs --domain=a,b and at most one metric");
  }
  v1::CompareDomainsRequest request;
  SetRunAndStage(c, &request);
  request.set_first_domain(domains[0]);
  request.set_second_domain(domains[1]);
  if (!metrics.empty()) request.set_metric(metrics[0]);
  if (c.args.Has("step")) request.set_step(c.args.Int("step"));
  ASSIGN_OR_RETURN(
      v1::CompareDomainsResponse contrasts,
      c.client.Ask(&v1::AnalysisService::Stub::CompareDomains, request));
  SortByDifference(c.args.Has("ascending"), &contrasts);
  Table table = answers::ContrastsTable(contrasts);
  PrintMeaning(c, contrasts.metric());
  if (c.for_people()) {
    c.out << "step " << contrasts.step() << ", first " << domains[0]
          << ", second " << domains[1] << "\n";
    std::vector<std::string> columns = {"layer",      "head", "first", "second",
                                        "difference", "low",  "high"};
    if (HaveSequences(contrasts))
      columns.insert(columns.end(), {"auroc", "cohens_d"});
    columns.push_back("type");
    table = Pick(table, columns);
  }
  Cut(c, LimitOf(c, contrasts), "heads", &table);
  RETURN_IF_ERROR(Print(c, table));
  PrintNotes(c, contrasts.notes());
  return absl::OkStatus();
}

std::vector<Command> StateCommands() { return {{StatesSpec(), States}}; }

}  // namespace sinkwatch::ctl

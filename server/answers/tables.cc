#include "server/answers/tables.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/time_util.h"
#include "server/answers/parse.h"
#include "server/names.h"

namespace sinkwatch::answers {
namespace {

std::string ShortName(const std::string& name, const char* prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

Cell TimeCell(bool has, const google::protobuf::Timestamp& time) {
  if (!has) return {};
  return google::protobuf::util::TimeUtil::ToString(time);
}

Cell Unless(int64_t unknown, int64_t value) {
  if (value == unknown) return {};
  return value;
}

Cell IndexCell(bool has, int32_t index) {
  if (!has) return {};
  return int64_t{index};
}

Cell ValueCell(const google::protobuf::RepeatedField<float>& values, int i) {
  if (i >= values.size() || !std::isfinite(values[i])) return {};
  return values[i];
}

std::vector<std::string> ListOf(const Repeated<std::string>& items) {
  return {items.begin(), items.end()};
}

std::vector<v1::JobState> AllStates() {
  std::vector<v1::JobState> states;
  for (int s = v1::JobState_MIN + 1; s <= v1::JobState_MAX; ++s) {
    states.push_back(static_cast<v1::JobState>(s));
  }
  return states;
}

int64_t CountOf(const v1::RunStatus& run, v1::JobState state) {
  for (const v1::StateCount& entry : run.states()) {
    if (entry.state() == state) return entry.count();
  }
  return 0;
}

bool HasTokens(const v1::SeriesRow& row) {
  return row.tokens() != 0 || row.step() == 0;
}

Cell XOf(const std::string& x, const v1::SeriesRow& row) {
  if (x == "step") return int64_t{row.step()};
  if (x == "tokens") return int64_t{row.tokens()};
  return std::log10(1.0 + static_cast<double>(row.step()));
}

std::string TokensNote(int unknown, int tied) {
  std::string note = "token counts from names are rounded";
  if (unknown > 0) {
    absl::StrAppend(&note, "; ", unknown,
                    " checkpoints whose count is not known are left out");
  }
  if (tied > 0) {
    absl::StrAppend(&note, "; ", tied,
                    " checkpoints whose rounded count is that of the one "
                    "before are left out");
  }
  return note;
}

std::string CensoringName(v1::Censoring censoring) {
  return ShortName(v1::Censoring_Name(censoring), "CENSORING_");
}

}  // namespace

absl::StatusOr<v1::JobState> ParseState(const std::string& name) {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  if (v1::JobState_Parse("JOB_STATE_" + absl::AsciiStrToUpper(name), &state) &&
      state != v1::JOB_STATE_UNSPECIFIED) {
    return state;
  }
  std::string states;
  for (v1::JobState s : AllStates()) {
    absl::StrAppend(&states, states.empty() ? "" : ", ", server::StateName(s));
  }
  return BadParameter("unknown_value", absl::StrCat("\"", name,
                                                    "\" is no state; there "
                                                    "are ",
                                                    states));
}

std::string OutcomeName(v1::Outcome outcome) {
  if (outcome == v1::OUTCOME_UNSPECIFIED) return "";
  return ShortName(v1::Outcome_Name(outcome), "OUTCOME_");
}

std::string ScopeName(v1::Scope scope) {
  return ShortName(v1::Scope_Name(scope), "SCOPE_");
}

absl::StatusOr<v1::Aggregation> ParseAggregation(const std::string& name) {
  v1::Aggregation aggregation = v1::AGGREGATION_UNSPECIFIED;
  if (v1::Aggregation_Parse("AGGREGATION_" + absl::AsciiStrToUpper(name),
                            &aggregation) &&
      aggregation != v1::AGGREGATION_UNSPECIFIED) {
    return aggregation;
  }
  return BadParameter("unknown_value",
                      absl::StrCat("agg=", name,
                                   " is none of each, mean, median, p90, max, "
                                   "min"));
}

absl::StatusOr<std::string> OnlyOf(const Repeated<std::string>& choices,
                                   const std::string& parameter) {
  if (choices.empty()) return std::string();
  if (choices.size() == 1) return choices[0];
  return BadParameter("missing_parameter",
                      absl::StrCat(parameter, " is needed: this run has ",
                                   absl::StrJoin(choices, ", ")));
}

Table RunsTable(const Repeated<v1::RunStatus>& runs) {
  Table table;
  table.columns = {"name",        "root",        "stages",   "domains",
                   "latest_step", "last_commit", "probe",    "architecture",
                   "layers",      "heads",       "kv_heads", "discovery_error"};
  for (v1::JobState state : AllStates()) {
    table.columns.push_back(server::StateName(state));
  }
  for (const v1::RunStatus& run : runs) {
    table.rows.push_back(
        {run.name(), run.root(), ListOf(run.stages()), ListOf(run.domains()),
         Unless(-1, run.latest_step()),
         TimeCell(run.has_last_commit(), run.last_commit()), run.probe().name(),
         run.model().architecture(), Unless(0, run.model().layers()),
         Unless(0, run.model().heads()), Unless(0, run.model().kv_heads()),
         run.discovery_error()});
    for (v1::JobState state : AllStates()) {
      table.rows.back().emplace_back(CountOf(run, state));
    }
  }
  return table;
}

Table CheckpointsTable(const Repeated<v1::CheckpointStatus>& checkpoints) {
  Table table;
  table.columns = {"stage",      "step",     "tokens", "state",    "outcome",
                   "reason",     "attempts", "worker", "progress", "updated",
                   "not_before", "path",     "job_id"};
  for (const v1::CheckpointStatus& c : checkpoints) {
    table.rows.push_back(
        {c.checkpoint().stage(), int64_t{c.checkpoint().step()},
         Unless(0, c.checkpoint().tokens()), server::StateName(c.state()),
         OutcomeName(c.outcome()), c.reason(), int64_t{c.attempts()},
         c.worker(), c.progress(), TimeCell(c.has_updated(), c.updated()),
         TimeCell(c.has_not_before(), c.not_before()), c.checkpoint().path(),
         int64_t{c.job_id()}});
  }
  return table;
}

Table MetricsTable(const Repeated<v1::MetricDescriptor>& metrics) {
  Table table;
  table.columns = {"name", "unit", "scope", "meaning", "formula", "source"};
  for (const v1::MetricDescriptor& m : metrics) {
    table.rows.push_back({m.name(), m.unit(), ScopeName(m.scope()), m.meaning(),
                          m.formula(), m.source()});
  }
  return table;
}

absl::StatusOr<Table> SeriesTable(const v1::QuerySeriesResponse& series,
                                  const std::string& x, std::string* note) {
  Table table{{"x"}, {}};
  for (const v1::SeriesKey& key : series.columns()) {
    table.columns.push_back(key.label());
  }
  int unknown = 0, tied = 0;
  for (const v1::SeriesRow& row : series.rows()) {
    if (x == "tokens" && !HasTokens(row)) {
      ++unknown;
      continue;
    }
    Cell at = XOf(x, row);
    if (!table.rows.empty() && x == "tokens" && table.rows.back()[0] == at) {
      ++tied;
      continue;
    }
    if (!table.rows.empty() && !(table.rows.back()[0] < at)) {
      return BadParameter("x_not_ascending",
                          absl::StrCat(x, " does not rise at step ", row.step(),
                                       ": ask for x=step"));
    }
    table.rows.push_back({std::move(at)});
    for (int c = 0; c < series.columns_size(); ++c) {
      table.rows.back().push_back(ValueCell(row.values(), c));
    }
  }
  *note = x == "tokens" ? TokensNote(unknown, tied) : "";
  return table;
}

Table MatrixTable(const v1::QueryMatrixResponse& matrix) {
  const v1::Scope scope = matrix.metric().scope();
  const bool per_head = scope == v1::SCOPE_HEAD || scope == v1::SCOPE_KV_HEAD;
  int heads = 0;
  for (const auto& row : matrix.rows()) {
    heads = std::max(heads, row.values_size());
  }
  Table table{{"layer"}, {}};
  for (int h = 0; h < heads; ++h) {
    table.columns.push_back(per_head ? absl::StrCat("H", h) : "value");
  }
  for (const auto& row : matrix.rows()) {
    table.rows.push_back({IndexCell(row.has_layer(), row.layer())});
    for (int h = 0; h < heads; ++h) {
      table.rows.back().push_back(ValueCell(row.values(), h));
    }
  }
  // A store keeps them in the order in which the worker sent them.
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [](const auto& a, const auto& b) { return a[0] < b[0]; });
  return table;
}

Table EmergenceTable(const v1::GetEmergenceResponse& emergence) {
  Table table;
  table.columns = {"series",     "layer",   "head",     "censoring",
                   "after_step", "by_step", "estimate", "provisional"};
  for (const v1::Emergence& e : emergence.emergences()) {
    const bool left = e.censoring() == v1::CENSORING_LEFT;
    const bool right = e.censoring() == v1::CENSORING_RIGHT;
    // A censored end of the interval is no value.
    table.rows.push_back(
        {e.key().label(), IndexCell(e.key().has_layer(), e.key().layer()),
         IndexCell(e.key().has_head(), e.key().head()),
         CensoringName(e.censoring()),
         left ? Cell() : Cell(int64_t{e.after_step()}),
         right ? Cell() : Cell(int64_t{e.by_step()}),
         left || right ? Cell() : Cell(e.estimate()), e.provisional()});
  }
  return table;
}

}  // namespace sinkwatch::answers

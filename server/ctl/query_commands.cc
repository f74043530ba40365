#include "server/ctl/query_commands.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "proto/base/measurement_table.h"
#include "proto/base/measurement_text.h"
#include "proto/base/nearest.h"
#include "proto/base/status_macros.h"
#include "server/answers/names.h"
#include "server/answers/tables.h"
#include "server/ctl/flags.h"

namespace sinkwatch::ctl {
namespace {

using answers::Cell;
using answers::Table;
using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

// "2026-11-24 04:48:17" of "2026-11-24T04:48:17.205958Z".
void ShortenTimes(const std::vector<std::string>& columns, Table* table) {
  for (const std::string& column : columns) {
    const auto it =
        std::find(table->columns.begin(), table->columns.end(), column);
    if (it == table->columns.end()) continue;
    for (auto& row : table->rows) {
      auto* text = std::get_if<std::string>(&row[it - table->columns.begin()]);
      if (text == nullptr || text->size() < 20) continue;
      text->resize(19);
      (*text)[10] = ' ';
    }
  }
}

// For people a choice of columns, unless --all; for programs all of them.
// `where_any` are shown only where a row has something there.
absl::Status PrintPicked(const Context& c, const Table& table,
                         const std::vector<std::string>& columns,
                         const std::vector<std::string>& where_any) {
  if (!c.for_people() || c.args.Has("all")) return Print(c, table);
  Table picked = Pick(table, WithoutEmpty(table, columns, where_any));
  ShortenTimes({"last_commit", "updated"}, &picked);
  return Print(c, picked);
}

void PrintEvent(const Context& c, const v1::MeasurementEvent& event) {
  const v1::Checkpoint& checkpoint = event.checkpoint();
  const std::string state = answers::StateName(event.state());
  const Table table{
      {"time", "run", "stage", "step", "state", "values", "implausible"},
      {{google::protobuf::util::TimeUtil::ToString(event.time()),
        checkpoint.run(), checkpoint.stage(), int64_t{checkpoint.step()}, state,
        int64_t{event.values()}, event.implausible()}}};
  if (c.for_people()) {
    c.out << std::get<std::string>(table.rows[0][0]) << "  " << checkpoint.run()
          << " step " << checkpoint.step() << "  " << state << "  "
          << event.values() << " values"
          << (event.implausible() ? "  IMPLAUSIBLE" : "") << "\n";
  } else {
    c.out << FormattedRow(table, c.format);
  }
  c.out.flush();
}

// The one that the line names, or all; NOT_FOUND for one that is not followed.
absl::StatusOr<answers::Repeated<v1::RunStatus>> WantedRuns(const Context& c) {
  ASSIGN_OR_RETURN(const v1::ListRunsResponse runs, c.client.Runs());
  const std::string wanted = c.args.Get("run");
  if (wanted.empty()) return runs.runs();
  std::vector<std::string> names;
  for (const v1::RunStatus& run : runs.runs()) {
    if (run.name() == wanted) {
      answers::Repeated<v1::RunStatus> one;
      *one.Add() = run;
      return one;
    }
    names.push_back(run.name());
  }
  return absl::NotFoundError(absl::StrCat("there is no run \"", wanted, "\"",
                                          base::DidYouMean(wanted, names)));
}

// Below the table of one run, for people: what was left alone, and what to
// know.
void PrintSurvey(const Context& c, const v1::RunStatus& run) {
  if (run.left_alone_size() > 0) {
    c.out << "\nleft alone under " << run.root() << ":\n"
          << Formatted(answers::LeftAloneTable(run), c.format);
  }
  for (const std::string& note : run.notes()) Note(c, note);
}

absl::Status Runs(const Context& c) {
  ASSIGN_OR_RETURN(const answers::Repeated<v1::RunStatus> runs, WantedRuns(c));
  RETURN_IF_ERROR(PrintPicked(
      c, answers::RunsTable(runs),
      {"name", "labels", "architecture", "latest_step", "last_commit", "done",
       "queued", "leased", "waiting", "retrying", "dead", "vanished",
       "left_alone", "discovery_error"},
      {"labels", "queued", "leased", "waiting", "retrying", "dead", "vanished",
       "left_alone", "discovery_error"}));
  if (!c.for_people()) return absl::OkStatus();
  if (!c.args.Get("run").empty()) {
    PrintSurvey(c, runs[0]);
    return absl::OkStatus();
  }
  for (const v1::RunStatus& run : runs) {
    for (const std::string& note : run.notes()) {
      Note(c, absl::StrCat(run.name(), ": ", note));
    }
  }
  return absl::OkStatus();
}

CommandSpec RunsSpec() {
  return {
      "runs",
      {"[RUN]"},
      "the runs that the server follows, with counts of checkpoints; of one "
      "run also what lies under its root and is left alone, and why",
      {All()},
      {"runs", "runs olmo2-1b", "runs -o json"}};
}

absl::Status Checkpoints(const Context& c) {
  v1::ListCheckpointsRequest request;
  request.set_run(c.args.Get("run"));
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage"));
  if (c.args.Has("state")) {
    ASSIGN_OR_RETURN(const v1::JobState state,
                     answers::ParseState(c.args.Get("state")));
    request.add_states(state);
  }
  ASSIGN_OR_RETURN(v1::ListCheckpointsResponse list,
                   c.client.Checkpoints(request, c.args.Int("limit")));
  // The newest are where a terminal stops.
  auto& checkpoints = *list.mutable_checkpoints();
  std::reverse(checkpoints.pointer_begin(), checkpoints.pointer_end());
  RETURN_IF_ERROR(
      PrintPicked(c, answers::CheckpointsTable(checkpoints),
                  {"stage", "step", "state", "attempts", "progress", "worker",
                   "updated", "outcome", "reason", "note"},
                  {"stage", "worker", "outcome", "reason", "note"}));
  if (checkpoints.size() < list.total()) {
    Note(c, absl::StrCat("the newest ", checkpoints.size(), " of ",
                         list.total(), "; --limit=0 shows all"));
  }
  return absl::OkStatus();
}

FlagSpec State() {
  std::vector<std::string> states;
  for (v1::JobState state : answers::AllStates()) {
    states.push_back(answers::StateName(state));
  }
  return FlagSpec{"state", "NAME", "only this state; default: all"}
      .OneOf(states)
      .Example("dead");
}

CommandSpec CheckpointsSpec() {
  return {"checkpoints",
          {"RUN"},
          "every checkpoint of a run: its state, and why",
          {Stage(), State(), Limit("only the newest N; 0 means all", "0", "20"),
           All()},
          {"checkpoints olmo2-1b", "checkpoints olmo2-1b --state=dead"}};
}

absl::Status Metrics(const Context& c) {
  ASSIGN_OR_RETURN(const v1::ListMetricsResponse metrics,
                   c.client.Metrics(c.args.Get("run")));
  const Table table = answers::MetricsTable(metrics.metrics());
  if (!c.for_people()) return Print(c, table);
  c.out << MetricParagraphs(table);
  return absl::OkStatus();
}

CommandSpec MetricsSpec() {
  return {"metrics",
          {"[RUN]"},
          "the metrics that have values, with their definitions",
          {},
          {"metrics", "metrics olmo2-1b -o csv"}};
}

absl::Status Measurement(const Context& c) {
  v1::GetMeasurementRequest request;
  request.set_run(c.args.Get("run"));
  request.set_step(c.args.Int("step"));
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage"));
  ASSIGN_OR_RETURN(
      const v1::Measurement measurement,
      c.client.Ask(&v1::QueryService::Stub::GetMeasurement, request));
  if (c.format == Format::kJson) {
    c.out << base::MeasurementJson(measurement);
  } else if (c.format == Format::kCsv) {
    c.out << base::MeasurementCsv(measurement);
  } else if (c.args.Has("all")) {
    c.out << AlignedTable(ValuesTable(measurement));
  } else {
    c.out << base::MeasurementTable(measurement);
    Note(c, "--all has a line for every value, --format=json and csv have all");
  }
  return absl::OkStatus();
}

CommandSpec MeasurementSpec() {
  return {"measurement",
          {"RUN", "STEP"},
          "one checkpoint: its values, of many heads a summary by layer",
          {Stage(), Step(), {"all", "", "a line for every value"}},
          {"measurement olmo2-1b 1000", "measurement olmo2-1b 1000 -o json"}};
}

absl::Status Watch(const Context& c) {
  const int64_t count = c.args.Int("count");
  v1::WatchMeasurementsRequest request;
  request.set_run(c.args.Get("run"));
  int64_t seen = 0;
  return c.client.Watch(request, [&](const v1::MeasurementEvent& event) {
    PrintEvent(c, event);
    return c.out.good() && (count <= 0 || ++seen < count);
  });
}

CommandSpec WatchSpec() {
  return {"watch",
          {"[RUN]"},
          "a line for each measurement as it is committed, until Ctrl-C",
          {FlagSpec{"count", "N", "stop after so many; 0: never"}
               .Of(ValueKind::kWhole)
               .Default("0")
               .Example("1")},
          {"watch", "watch olmo2-1b --count=1 -o json"}};
}

}  // namespace

std::vector<Command> QueryCommands() {
  return {{RunsSpec(), Runs},
          {CheckpointsSpec(), Checkpoints},
          {MetricsSpec(), Metrics},
          {MeasurementSpec(), Measurement},
          {WatchSpec(), Watch}};
}

}  // namespace sinkwatch::ctl

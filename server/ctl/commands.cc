#include "server/ctl/commands.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/util/time_util.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"
#include "server/answers/tables.h"
#include "server/ctl/admin_commands.h"
#include "server/ctl/chart.h"
#include "server/ctl/context.h"
#include "server/ctl/format.h"

namespace sinkwatch::ctl {
namespace {

using answers::Cell;
using answers::Table;

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
absl::Status PrintPicked(const Context& c, const Table& table,
                         const std::vector<std::string>& columns) {
  if (c.format != Format::kTable || c.args.Has("all")) return Print(c, table);
  Table picked = Pick(table, columns, columns);
  ShortenTimes({"last_commit", "updated"}, &picked);
  return Print(c, picked);
}

absl::Status Runs(const Context& c) {
  auto runs = c.client.Runs();
  if (!runs.ok()) return runs.status();
  return PrintPicked(
      c, answers::RunsTable(runs->runs()),
      {"name", "architecture", "layers", "heads", "domains", "latest_step",
       "last_commit", "waiting", "queued", "leased", "retrying", "done", "dead",
       "vanished", "discovery_error"});
}

absl::Status Checkpoints(const Context& c) {
  auto run = c.args.Required("run");
  if (!run.ok()) return run.status();
  v1::ListCheckpointsRequest request;
  request.set_run(*run);
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage", ""));
  if (c.args.Has("state")) {
    auto state = answers::ParseState(c.args.Get("state", ""));
    if (!state.ok()) return state.status();
    request.add_states(*state);
  }
  // Whole, so that the newest are where a terminal stops.
  request.set_order(v1::CHECKPOINT_ORDER_OLDEST_FIRST);
  auto list = c.client.Checkpoints(request);
  if (!list.ok()) return list.status();
  return PrintPicked(c, answers::CheckpointsTable(list->checkpoints()),
                     {"stage", "step", "state", "attempts", "progress",
                      "worker", "updated", "outcome", "reason"});
}

absl::Status Metrics(const Context& c) {
  auto metrics = c.client.Metrics(c.args.Get("run", ""));
  if (!metrics.ok()) return metrics.status();
  const Table table = answers::MetricsTable(metrics->metrics());
  if (c.format != Format::kTable) return Print(c, table);
  c.out << MetricParagraphs(table);
  return absl::OkStatus();
}

// --run, --metric, --stage and --domain. The server completes the last two from
// what the run has.
absl::StatusOr<v1::SeriesSelector> Select(const Context& c) {
  auto run = c.args.Required("run");
  if (!run.ok()) return run.status();
  auto metric = c.args.Required("metric");
  if (!metric.ok()) return metric.status();
  v1::SeriesSelector selector;
  selector.set_run(*run);
  selector.set_metric(*metric);
  if (c.args.Has("stage")) selector.set_stage(c.args.Get("stage", ""));
  if (c.args.Has("domain")) selector.set_domain(c.args.Get("domain", ""));
  return selector;
}

absl::StatusOr<v1::SeriesSelector> SelectSeries(const Context& c) {
  auto layers = answers::ParseInts(c.args.Get("layer", ""));
  if (!layers.ok()) return layers.status();
  auto heads = answers::ParseInts(c.args.Get("head", ""));
  if (!heads.ok()) return heads.status();
  auto aggregation = answers::ParseAggregation(c.args.Get("agg", "each"));
  if (!aggregation.ok()) return aggregation.status();
  auto selector = Select(c);
  if (!selector.ok()) return selector;
  selector->mutable_layers()->Add(layers->begin(), layers->end());
  selector->mutable_heads()->Add(heads->begin(), heads->end());
  selector->set_aggregation(*aggregation);
  selector->set_include_implausible(c.args.Has("implausible"));
  return selector;
}

// Above a table for people: what its numbers mean.
void PrintMeaning(const Context& c, const v1::MetricDescriptor& metric) {
  if (c.format != Format::kTable || metric.name().empty()) return;
  c.out << metric.name() << " [" << metric.unit() << "]: " << metric.meaning()
        << "\n\n";
}

absl::Status Measurement(const Context& c) {
  auto run = c.args.Required("run");
  if (!run.ok()) return run.status();
  auto step = c.args.Required("step");
  if (!step.ok()) return step.status();
  auto number = c.args.Int("step", 0);
  if (!number.ok()) return number.status();
  v1::GetMeasurementRequest request;
  request.set_run(*run);
  request.set_step(*number);
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage", ""));
  auto measurement = c.client.GetMeasurement(request);
  if (!measurement.ok()) return measurement.status();
  if (c.format != Format::kJson) {
    return Print(c, MeasurementTable(*measurement));
  }
  c.out << MeasurementJson(*measurement);
  return absl::OkStatus();
}

absl::Status Series(const Context& c) {
  auto selector = SelectSeries(c);
  if (!selector.ok()) return selector.status();
  v1::QuerySeriesRequest request;
  *request.mutable_selector() = *selector;
  auto series = c.client.Series(request);
  if (!series.ok()) return series.status();
  const std::string x = c.args.Get("x", "step");
  if (x != "step" && x != "tokens" && x != "log10_step") {
    return absl::InvalidArgumentError(
        absl::StrCat("--x=", x, " is none of step, tokens, log10_step"));
  }
  std::string note;
  auto table = answers::SeriesTable(*series, {x}, &note);
  if (!table.ok()) return table.status();
  PrintMeaning(c, series->metric());
  if (c.format == Format::kTable && !note.empty()) c.out << note << "\n\n";
  if (c.args.Has("chart") && c.format == Format::kTable) {
    ChartOptions options;
    options.x_label = x;
    c.out << DrawChart(*table, options) << "\n";
  }
  if (c.format == Format::kTable) table->columns[0] = x;
  return Print(c, *table);
}

absl::StatusOr<v1::QueryMatrixResponse> FetchMatrix(
    const Context& c, const v1::SeriesSelector& selector,
    const std::string& metric, std::optional<int64_t> step) {
  v1::QueryMatrixRequest request;
  request.set_run(selector.run());
  if (selector.has_stage()) request.set_stage(selector.stage());
  if (selector.has_domain()) request.set_domain(selector.domain());
  request.set_metric(metric);
  if (step.has_value()) request.set_step(*step);
  return c.client.Matrix(request);
}

absl::StatusOr<std::optional<int64_t>> StepOf(const Context& c) {
  if (!c.args.Has("step")) return std::optional<int64_t>();
  auto step = c.args.Int("step", 0);
  if (!step.ok()) return step.status();
  return std::optional<int64_t>(*step);
}

absl::Status Matrix(const Context& c) {
  auto step = StepOf(c);
  if (!step.ok()) return step.status();
  auto selector = Select(c);
  if (!selector.ok()) return selector.status();
  auto matrix = FetchMatrix(c, *selector, selector->metric(), *step);
  if (!matrix.ok()) return matrix.status();
  PrintMeaning(c, matrix->metric());
  if (c.format == Format::kTable) c.out << "step " << matrix->step() << "\n";
  return Print(c, answers::MatrixTable(*matrix));
}

// The value of query head `head` of `heads`: its own, that of the key/value
// head it shares, or its layer's.
Cell ValueOfHead(const v1::QueryMatrixResponse& matrix, int32_t layer, int head,
                 int heads) {
  for (const auto& row : matrix.rows()) {
    if (!row.has_layer() || row.layer() != layer) continue;
    if (row.values_size() == 0) return {};
    return row.values(head * row.values_size() / heads);
  }
  return {};
}

Table HeadsTable(const std::vector<v1::QueryMatrixResponse>& matrices) {
  Table table{{"layer", "head"}, {}};
  for (const auto& matrix : matrices) {
    table.columns.push_back(matrix.metric().name());
  }
  for (const auto& row : matrices[0].rows()) {
    for (int h = 0; h < row.values_size(); ++h) {
      table.rows.push_back({int64_t{row.layer()}, int64_t{h}});
      for (const auto& matrix : matrices) {
        table.rows.back().push_back(
            ValueOfHead(matrix, row.layer(), h, row.values_size()));
      }
    }
  }
  return table;
}

absl::Status Heads(const Context& c) {
  auto limit = c.args.Int("limit", 20);
  if (!limit.ok()) return limit.status();
  auto step = StepOf(c);
  if (!step.ok()) return step.status();
  auto selector = Select(c);
  if (!selector.ok()) return selector.status();
  std::vector<v1::QueryMatrixResponse> matrices;
  for (const std::string& metric :
       std::vector<std::string>(absl::StrSplit(selector->metric(), ','))) {
    auto matrix = FetchMatrix(c, *selector, metric, *step);
    if (!matrix.ok()) return matrix.status();
    *step = matrix->step();
    matrices.push_back(*std::move(matrix));
  }
  Table table = HeadsTable(matrices);
  const bool ascending = c.args.Has("ascending");
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [&](const auto& a, const auto& b) {
                     return ascending ? a[2] < b[2] : b[2] < a[2];
                   });
  if (*limit > 0 && table.rows.size() > static_cast<size_t>(*limit)) {
    table.rows.resize(*limit);
  }
  for (const auto& matrix : matrices) PrintMeaning(c, matrix.metric());
  if (c.format == Format::kTable) {
    c.out << "step " << matrices[0].step() << "\n";
  }
  return Print(c, table);
}

absl::Status Emergence(const Context& c) {
  auto threshold = c.args.Number("threshold", 0);
  if (!threshold.ok()) return threshold.status();
  auto consecutive = c.args.Int("consecutive", 0);
  if (!consecutive.ok()) return consecutive.status();
  auto selector = SelectSeries(c);
  if (!selector.ok()) return selector.status();
  v1::GetEmergenceRequest request;
  *request.mutable_selector() = *selector;
  if (c.args.Has("threshold")) request.set_threshold(*threshold);
  if (c.args.Has("below")) request.set_below(true);
  request.set_consecutive(static_cast<int32_t>(*consecutive));
  auto emergence = c.client.Emergence(request);
  if (!emergence.ok()) return emergence.status();
  PrintMeaning(c, emergence->metric());
  if (c.format == Format::kTable) {
    c.out << "Emergence lies in (after_step, by_step].\n";
  }
  return Print(c, answers::EmergenceTable(*emergence));
}

void PrintEvent(const Context& c, const v1::MeasurementEvent& event) {
  const v1::Checkpoint& checkpoint = event.checkpoint();
  const Table table{
      {"time", "run", "stage", "step", "state", "values", "implausible"},
      {{google::protobuf::util::TimeUtil::ToString(event.time()),
        checkpoint.run(), checkpoint.stage(), int64_t{checkpoint.step()},
        answers::StateName(event.state()), int64_t{event.values()},
        event.implausible()}}};
  if (c.format == Format::kTable) {
    c.out << std::get<std::string>(table.rows[0][0]) << "  " << checkpoint.run()
          << " step " << checkpoint.step() << "  "
          << answers::StateName(event.state()) << "  " << event.values()
          << " values" << (event.implausible() ? "  IMPLAUSIBLE" : "") << "\n";
  } else {
    c.out << FormattedRow(table, c.format);
  }
  c.out.flush();
}

absl::Status Watch(const Context& c) {
  auto count = c.args.Int("count", 0);
  if (!count.ok()) return count.status();
  v1::WatchMeasurementsRequest request;
  request.set_run(c.args.Get("run", ""));
  int64_t seen = 0;
  return c.client.Watch(request, [&](const v1::MeasurementEvent& event) {
    PrintEvent(c, event);
    return *count <= 0 || ++seen < *count;
  });
}

absl::Status Help(const Arguments& args, std::ostream& out) {
  const std::string name = args.Get("command", "");
  if (name.empty()) {
    out << HelpAll(Commands(), CommonFlags());
    return absl::OkStatus();
  }
  for (const CommandSpec& command : Commands()) {
    if (command.name != name) continue;
    out << HelpFor(command, CommonFlags());
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no command \"", name, "\"; see `sinkctl help`"));
}

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 0;
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kUnavailable:
      return 4;
    default:
      return 1;
  }
}

absl::Status Run(const std::vector<std::string>& words, std::ostream& out) {
  auto args = Arguments::Parse(words, Commands(), CommonFlags());
  if (!args.ok()) return args.status();
  if (args->command() == "help") return Help(*args, out);
  auto timeout = args->Number("timeout", 30);
  if (!timeout.ok()) return timeout.status();
  const char* variable = std::getenv("SINKWATCH_SERVER");
  const std::string server =
      args->Get("server", variable == nullptr ? "127.0.0.1:17461" : variable);
  Client client(server, absl::Seconds(*timeout));
  return RunCommand(*args, client, out);
}

}  // namespace

absl::Status RunCommand(const Arguments& arguments, Client& client,
                        std::ostream& out) {
  static const auto* const kHandlers = new std::map<std::string, Command>{
      {"runs", Runs},       {"checkpoints", Checkpoints},
      {"metrics", Metrics}, {"measurement", Measurement},
      {"series", Series},   {"heads", Heads},
      {"matrix", Matrix},   {"emergence", Emergence},
      {"watch", Watch},     {"requeue", Requeue},
      {"add-run", AddRun},  {"remove-run", RemoveRun},
      {"config", Config}};
  auto format = ParseFormat(arguments.Get("format", "table"));
  if (!format.ok()) return format.status();
  const Context context{arguments, client, out, *format};
  return kHandlers->at(arguments.command())(context);
}

int Sinkctl(const std::vector<std::string>& words, std::ostream& out,
            std::ostream& err) {
  const absl::Status status = Run(words, out);
  if (!status.ok()) {
    err << "sinkctl: " << std::string(status.message()) << "\n";
  }
  return ExitCode(status);
}

}  // namespace sinkwatch::ctl

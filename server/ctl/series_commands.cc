#include "server/ctl/series_commands.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"
#include "server/answers/reference_columns.h"
#include "server/answers/tables.h"
#include "server/answers/token_text.h"
#include "server/ctl/chart.h"
#include "server/ctl/flags.h"
#include "server/ctl/format.h"
#include "server/ctl/state_commands.h"

namespace sinkwatch::ctl {
namespace {

using answers::Cell;
using answers::Table;
using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

FlagSpec Metric() {
  return FlagSpec{"metric", "NAME", "see `sinkctl metrics`; default: none"}
      .Example("sink_attention");
}

FlagSpec Aggregation() {
  std::vector<std::string> aggregations;
  for (int a = v1::Aggregation_MIN + 1; a <= v1::Aggregation_MAX; ++a) {
    aggregations.push_back(
        answers::AggregationName(static_cast<v1::Aggregation>(a)));
  }
  return FlagSpec{"agg", "HOW", "over the heads of a layer"}
      .OneOf(aggregations)
      .Default("each")
      .Example("max");
}

// Which values of a metric; SelectSeries() reads them.
std::vector<FlagSpec> WithSelection(const std::vector<FlagSpec>& flags) {
  std::vector<FlagSpec> all = {
      Metric(),
      Domain(),
      Stage(),
      FlagSpec{"layer", "LIST", "default: all"}.Example("0,2,5-7"),
      FlagSpec{"head", "LIST", "default: all"}.Example("0,2,5-7"),
      Aggregation(),
      FlagSpec{"with", "B,C,..", "further runs; default: none"}.Example(
          "olmo2-7b"),
      {"implausible", "", "with measurements whose loss is implausible"}};
  all.insert(all.end(), flags.begin(), flags.end());
  return all;
}

// What the line names; the server completes stage and domain from what the run
// has.
v1::SeriesSelector Select(const Context& c) {
  v1::SeriesSelector selector;
  selector.set_run(c.args.Get("run"));
  selector.set_metric(c.args.Get("metric"));
  if (c.args.Has("stage")) selector.set_stage(c.args.Get("stage"));
  if (c.args.Has("domain")) selector.set_domain(c.args.Get("domain"));
  for (const std::string& run : c.args.List("with")) {
    selector.add_more_runs(run);
  }
  return selector;
}

absl::StatusOr<v1::SeriesSelector> SelectSeries(const Context& c) {
  v1::SeriesSelector selector = Select(c);
  ASSIGN_OR_RETURN(const std::vector<int32_t> layers,
                   answers::ParseInts(c.args.Get("layer")));
  ASSIGN_OR_RETURN(const std::vector<int32_t> heads,
                   answers::ParseInts(c.args.Get("head")));
  ASSIGN_OR_RETURN(const v1::Aggregation aggregation,
                   answers::ParseAggregation(c.args.Get("agg")));
  selector.set_include_same_weights(c.args.Has("same-weights"));
  selector.mutable_layers()->Add(layers.begin(), layers.end());
  selector.mutable_heads()->Add(heads.begin(), heads.end());
  selector.set_aggregation(aggregation);
  selector.set_include_implausible(c.args.Has("implausible"));
  return selector;
}

// Above a table for people: what its numbers mean.
void PrintMeaning(const Context& c, const v1::MetricDescriptor& metric) {
  if (!c.for_people() || metric.name().empty()) return;
  c.out << metric.name() << " [" << metric.unit() << "]: " << metric.meaning()
        << "\n";
}

void PrintPlace(const Context& c, const std::string& stage,
                const std::string& domain) {
  if (!c.for_people()) return;
  if (!stage.empty()) c.out << "stage " << stage << "  ";
  if (!domain.empty()) c.out << "domain " << domain;
  c.out << "\n\n";
}

std::string DrawSeries(const Context& c, const Table& table,
                       const std::string& x) {
  ChartOptions options;
  options.width =
      std::max(20, c.width.value_or(kDefaultColumns) - kChartMargin);
  options.x_label = x == "log10_step" ? "step" : x;
  options.x_is_log_step = x == "log10_step";
  return DrawChart(table, options);
}

absl::StatusOr<v1::QueryMatrixResponse> FetchMatrix(
    const Context& c, const std::string& metric, std::optional<int64_t> step) {
  v1::QueryMatrixRequest request;
  request.set_run(c.args.Get("run"));
  if (c.args.Has("stage")) request.set_stage(c.args.Get("stage"));
  if (c.args.Has("domain")) request.set_domain(c.args.Get("domain"));
  request.set_metric(metric);
  if (step.has_value()) request.set_step(*step);
  return c.client.Ask(&v1::QueryService::Stub::QueryMatrix, request);
}

std::optional<int64_t> StepOf(const Context& c) {
  if (!c.args.Has("step")) return std::nullopt;
  return c.args.Int("step");
}

void PrintStep(const Context& c, const v1::QueryMatrixResponse& matrix) {
  if (!c.for_people()) return;
  c.out << "step " << matrix.step() << ", domain " << matrix.domain()
        << (matrix.implausible() ? "  IMPLAUSIBLE" : "") << "\n";
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

// "(1000, 1500]", or what it means that there is no such interval.
std::string Interval(const v1::Emergence& e) {
  if (e.censoring() == v1::CENSORING_LEFT) {
    return absl::StrCat("by the first checkpoint, ", e.by_step());
  }
  return absl::StrCat("(", e.after_step(), ", ", e.by_step(), "]");
}

// Those that emerged, the first first.
std::vector<const v1::Emergence*> Emerged(const v1::GetEmergenceResponse& all) {
  std::vector<const v1::Emergence*> emerged;
  for (const v1::Emergence& e : all.emergences()) {
    if (e.censoring() == v1::CENSORING_NONE ||
        e.censoring() == v1::CENSORING_LEFT) {
      emerged.push_back(&e);
    }
  }
  std::stable_sort(emerged.begin(), emerged.end(),
                   [](const v1::Emergence* a, const v1::Emergence* b) {
                     return a->by_step() < b->by_step();
                   });
  return emerged;
}

// The same in tokens; no value where they are not known.
Cell TokenInterval(const v1::Emergence& e) {
  if (!e.has_by_tokens()) return {};
  const std::string by = answers::TokenText(e.by_tokens());
  if (e.censoring() == v1::CENSORING_LEFT) return absl::StrCat("by ", by);
  if (!e.has_after_tokens()) return {};
  return absl::StrCat("(", answers::TokenText(e.after_tokens()), ", ", by, "]");
}

Table EmergedTable(const std::vector<const v1::Emergence*>& emerged) {
  Table table{
      {"series", "emerged in steps", "about", "in tokens", "holds from", ""},
      {}};
  bool any_tokens = false;
  for (const v1::Emergence* e : emerged) {
    const bool known = e->censoring() == v1::CENSORING_NONE;
    any_tokens = any_tokens || e->has_by_tokens();
    table.rows.push_back(
        {e->key().label(), Interval(*e), known ? Cell(e->estimate()) : Cell(),
         TokenInterval(*e),
         e->has_holds_from_step() ? Cell(int64_t{e->holds_from_step()})
                                  : Cell(std::string("fell back")),
         std::string(e->provisional() ? "provisional" : " ")});
  }
  if (any_tokens) return table;
  return Pick(table, {"series", "emerged in steps", "about", "holds from", ""});
}

void PrintEmergence(const Context& c, const v1::GetEmergenceResponse& found) {
  PrintMeaning(c, found.metric());
  PrintPlace(c, found.stage(), found.domain());
  const std::vector<const v1::Emergence*> emerged = Emerged(found);
  c.out << (found.below() ? "at or below " : "at or above ")
        << found.threshold() << " at " << found.consecutive()
        << " checkpoints in a row:\n";
  if (!emerged.empty()) c.out << AlignedTable(EmergedTable(emerged));
  const auto never =
      std::count_if(found.emergences().begin(), found.emergences().end(),
                    [](const v1::Emergence& e) {
                      return e.censoring() == v1::CENSORING_RIGHT;
                    });
  if (never > 0) {
    c.out << never << " of " << found.emergences_size() << " series never\n";
  }
  for (const std::string& note : found.notes()) Note(c, note);
}

absl::Status Series(const Context& c) {
  v1::QuerySeriesRequest request;
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(c));
  request.set_omit_standard_errors(true);
  ASSIGN_OR_RETURN(const v1::QuerySeriesResponse series,
                   c.client.Series(request));
  const std::string x = c.args.Get("x");
  std::string note;
  ASSIGN_OR_RETURN(Table table, answers::SeriesTable(series, {x}, &note));
  if (c.args.Has("reference")) {
    v1::ListReferencesRequest published;
    published.set_reference(c.args.Get("reference"));
    published.set_metric(series.metric().name());
    ASSIGN_OR_RETURN(
        const v1::ListReferencesResponse list,
        c.client.Ask(&v1::AnalysisService::Stub::ListReferences, published));
    answers::LayReferences(list, x, &table);
  }
  PrintMeaning(c, series.metric());
  PrintPlace(c, series.stage(), series.domain());
  const bool chart = c.args.Has("chart") && c.for_people();
  if (chart) c.out << DrawSeries(c, table, x);
  if (!chart || c.args.Has("table")) {
    if (c.for_people()) table.columns[0] = x;
    RETURN_IF_ERROR(Print(c, table));
  }
  if (!note.empty()) Note(c, note);
  for (const std::string& said : series.notes()) Note(c, said);
  return absl::OkStatus();
}

CommandSpec SeriesSpec() {
  return {"series",
          {"RUN", "METRIC"},
          "a metric over the steps of a run",
          WithSelection(
              {FlagSpec{"x", "WHAT", "what the values stand over"}
                   .OneOf({"step", "tokens", "log10_step"})
                   .Default("step")
                   .Example("tokens"),
               FlagSpec{"reference", "NAME",
                        "published values beside it; default: none"}
                   .Example("guo-2410.13835"),
               {"chart", "", "draw it: lines, or of many series their band"},
               {"table", "", "the values too, under the chart"},
               All()}),
          {"series olmo2-1b sink_attention --domain=wiki --chart "
           "--x=log10_step",
           "series olmo2-1b probe_loss --domain=wiki -o csv"}};
}

absl::Status Matrix(const Context& c) {
  ASSIGN_OR_RETURN(const v1::QueryMatrixResponse matrix,
                   FetchMatrix(c, c.args.Get("metric"), StepOf(c)));
  PrintMeaning(c, matrix.metric());
  PrintStep(c, matrix);
  return Print(c, answers::MatrixTable(matrix));
}

CommandSpec MatrixSpec() {
  return {"matrix",
          {"RUN", "METRIC"},
          "a metric of every layer and head at one step",
          {Metric(), Domain(), Stage(), Step(), All()},
          {"matrix olmo2-1b sink_attention --domain=wiki --step=1000"}};
}

absl::Status Heads(const Context& c) {
  if (c.args.Get("sort") == "difference" || c.args.List("domain").size() == 2) {
    return HeadsByDifference(c);
  }
  std::optional<int64_t> step = StepOf(c);
  std::vector<v1::QueryMatrixResponse> matrices;
  for (const std::string& metric : c.args.List("metric")) {
    ASSIGN_OR_RETURN(v1::QueryMatrixResponse matrix,
                     FetchMatrix(c, metric, step));
    step = matrix.step();
    matrices.push_back(std::move(matrix));
  }
  if (matrices.empty()) {
    return absl::InvalidArgumentError(
        "--metric is missing: only the difference of two domains has a "
        "default");
  }
  Table table = HeadsTable(matrices);
  const bool ascending = c.args.Has("ascending");
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [&](const auto& a, const auto& b) {
                     return ascending ? a[2] < b[2] : b[2] < a[2];
                   });
  const size_t all = table.rows.size();
  const int64_t limit = c.args.Int("limit");
  if (limit > 0 && all > static_cast<size_t>(limit)) table.rows.resize(limit);
  for (const auto& matrix : matrices) PrintMeaning(c, matrix.metric());
  PrintStep(c, matrices[0]);
  RETURN_IF_ERROR(Print(c, table));
  if (table.rows.size() < all) {
    Note(c, absl::StrCat(table.rows.size(), " of ", all,
                         " heads; --limit=0 shows all"));
  }
  return absl::OkStatus();
}

CommandSpec HeadsSpec() {
  return {"heads",
          {"RUN", "[METRIC]"},
          "the heads at one step, sorted by a metric or by its difference",
          {FlagSpec{"metric", "A,B,..",
                    "the first sorts, the others are shown beside; of a "
                    "difference one; default: that which tells dormancy"}
               .Example("sink_attention,value_norm_ratio"),
           FlagSpec{"domain", "NAME",
                    "text domain, or two (a,b) for their difference; default: "
                    "the only one"}
               .Example("wiki,code"),
           FlagSpec{"sort", "BY", "value, or difference of two domains"}
               .OneOf({"value", "difference"})
               .Default("value")
               .Example("difference"),
           Stage(),
           Step(),
           Limit("how many heads; 0 means all; of a difference those that "
                 "switch, if they are more",
                 "20", "100"),
           {"ascending", "", "the smallest first"}},
          {"heads olmo2-1b --domain=wiki,code --sort=difference",
           "heads olmo2-1b sink_attention,value_norm_ratio --domain=wiki",
           "heads olmo2-1b value_norm_ratio --domain=wiki --ascending"}};
}

absl::Status Emergence(const Context& c) {
  v1::GetEmergenceRequest request;
  ASSIGN_OR_RETURN(*request.mutable_selector(), SelectSeries(c));
  if (c.args.Has("threshold")) {
    request.set_threshold(c.args.Number("threshold"));
  }
  if (c.args.Has("below")) request.set_below(true);
  request.set_consecutive(static_cast<int32_t>(c.args.Int("consecutive")));
  ASSIGN_OR_RETURN(
      const v1::GetEmergenceResponse found,
      c.client.Ask(&v1::QueryService::Stub::GetEmergence, request));
  if (!c.for_people()) return Print(c, answers::EmergenceTable(found));
  PrintEmergence(c, found);
  return absl::OkStatus();
}

CommandSpec EmergenceSpec() {
  return {
      "emergence",
      {"RUN", "METRIC"},
      "the step interval in which a metric crossed a threshold",
      WithSelection(
          {FlagSpec{"threshold", "X", "default: the metric's own"}
               .Of(ValueKind::kNumber)
               .Example("0.5"),
           {"below", "", "crossing downward; default: as the metric has it"},
           FlagSpec{"consecutive", "N", "checkpoints beyond it in a row"}
               .Of(ValueKind::kPositive)
               .Default("2")
               .Example("3"),
           {"same-weights", "",
            "with steps whose weights are those of another step"}}),
      {"emergence olmo2-1b sink_attention --domain=wiki",
       "emergence olmo2-1b value_norm_ratio --threshold=0.5 --below"}};
}

}  // namespace

std::vector<Command> SeriesCommands() {
  return {{HeadsSpec(), Heads},
          {MatrixSpec(), Matrix},
          {SeriesSpec(), Series},
          {EmergenceSpec(), Emergence}};
}

}  // namespace sinkwatch::ctl

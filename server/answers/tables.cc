#include "server/answers/tables.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/time_util.h"
#include "proto/base/status_macros.h"
#include "server/answers/names.h"
#include "server/answers/parse.h"

namespace sinkwatch::answers {
namespace {

constexpr char kErrorColumn[] = " stderr";

using Floats = google::protobuf::RepeatedField<float>;

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

Cell ValueCell(const Floats& values, int i) {
  if (i >= values.size() || !std::isfinite(values[i])) return {};
  return values[i];
}

std::vector<std::string> ListOf(const Repeated<std::string>& items) {
  return {items.begin(), items.end()};
}

int64_t LeftAloneOf(const v1::RunStatus& run) {
  int64_t count = 0;
  for (const v1::LeftAlone& entry : run.left_alone()) count += entry.count();
  return count;
}

// "2 no-step (a, b): a checkpoint whose name tells no step".
std::vector<std::string> WhyLeftAlone(const v1::RunStatus& run) {
  std::vector<std::string> why;
  for (const v1::LeftAlone& entry : run.left_alone()) {
    const bool more = entry.count() > entry.examples_size();
    why.push_back(absl::StrCat(entry.count(), " ", entry.kind(), " (",
                               absl::StrJoin(entry.examples(), ", "),
                               more ? ", ..." : "", "): ", entry.reason()));
  }
  return why;
}

std::vector<std::string> LabelsOf(const v1::RunStatus& run) {
  std::vector<std::string> labels;
  for (const auto& [name, value] : run.labels()) {
    labels.push_back(absl::StrCat(name, "=", value));
  }
  std::sort(labels.begin(), labels.end());
  return labels;
}

// "the same weights as step 3000".
std::vector<std::string> SameWeightsOf(const v1::CheckpointStatus& c) {
  std::vector<std::string> said;
  for (const v1::SameWeights& same : c.same_weights()) {
    const std::string at = absl::StrCat(
        same.stage() == c.checkpoint().stage() ? "" : same.stage() + " ",
        "step ", same.step());
    said.push_back(same.identical()
                       ? absl::StrCat("the same weights as ", at)
                       : absl::StrCat(same.tensors(), " of ", same.of(),
                                      " matrices are the same as in ", at));
  }
  return said;
}

// What a person should know of its measurement.
std::string NoteOf(const v1::CheckpointStatus& c) {
  std::string note = absl::StrJoin(SameWeightsOf(c), ", ");
  if (c.measurements() < 2) return note;
  return absl::StrCat(note, note.empty() ? "" : "; ", "measured ",
                      c.measurements(), " times, ",
                      c.counts() ? "this one counts" : "another one counts");
}

int64_t CountOf(const v1::RunStatus& run, v1::JobState state) {
  for (const v1::StateCount& entry : run.states()) {
    if (entry.state() == state) return entry.count();
  }
  return 0;
}

Cell XOf(const std::string& x, int64_t step, int64_t tokens) {
  if (x == "step") return step;
  if (x == "tokens") return tokens;
  return std::log10(1.0 + static_cast<double>(step));
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

// Row `row` of a dense matrix, appended.
void AppendValues(const Floats& matrix, int columns, int row,
                  std::vector<Cell>* cells) {
  for (int c = 0; c < columns; ++c) {
    cells->push_back(ValueCell(matrix, row * columns + c));
  }
}

// half_after_step, half_by_step, half_step, width, width_low, width_high,
// shape.
void AppendRise(const v1::Emergence& emergence, std::vector<Cell>* cells) {
  if (!emergence.has_rise()) {
    cells->resize(cells->size() + 7);
    return;
  }
  const v1::Rise& rise = emergence.rise();
  cells->insert(cells->end(),
                {int64_t{rise.after_step()}, int64_t{rise.by_step()},
                 rise.half_step(), rise.width(), rise.width_low(),
                 rise.width_high(), RiseShapeName(rise.shape())});
}

// after_tokens, by_tokens.
void AppendTokens(const v1::Emergence& e, std::vector<Cell>* cells) {
  cells->push_back(e.has_after_tokens() ? Cell(int64_t{e.after_tokens()})
                                        : Cell());
  cells->push_back(e.has_by_tokens() ? Cell(int64_t{e.by_tokens()}) : Cell());
}

absl::Status CheckShape(const v1::QuerySeriesResponse& series) {
  const int64_t cells = int64_t{series.steps_size()} * series.columns_size();
  if (series.tokens_size() == series.steps_size() &&
      series.values_size() == cells &&
      (series.standard_errors().empty() ||
       series.standard_errors_size() == cells)) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat(
      "a series of ", series.steps_size(), " steps and ", series.columns_size(),
      " columns has ", series.values_size(), " values"));
}

}  // namespace

Table RunsTable(const Repeated<v1::RunStatus>& runs) {
  Table table;
  table.columns = {
      "name",        "root",           "stages",   "domains",
      "latest_step", "last_commit",    "probe",    "architecture",
      "layers",      "heads",          "kv_heads", "discovery_error",
      "left_alone",  "left_alone_why", "notes",    "labels"};
  for (v1::JobState state : AllStates()) {
    table.columns.push_back(StateName(state));
  }
  for (const v1::RunStatus& run : runs) {
    table.rows.push_back(
        {run.name(), run.root(), ListOf(run.stages()), ListOf(run.domains()),
         Unless(-1, run.latest_step()),
         TimeCell(run.has_last_commit(), run.last_commit()), run.probe().name(),
         run.model().architecture(), Unless(0, run.model().layers()),
         Unless(0, run.model().heads()), Unless(0, run.model().kv_heads()),
         run.discovery_error(), LeftAloneOf(run), WhyLeftAlone(run),
         ListOf(run.notes()), LabelsOf(run)});
    for (v1::JobState state : AllStates()) {
      table.rows.back().emplace_back(CountOf(run, state));
    }
  }
  return table;
}

Table LeftAloneTable(const v1::RunStatus& run) {
  Table table;
  table.columns = {"kind", "count", "examples", "reason"};
  for (const v1::LeftAlone& entry : run.left_alone()) {
    table.rows.push_back({entry.kind(), int64_t{entry.count()},
                          ListOf(entry.examples()), entry.reason()});
  }
  return table;
}

Table CheckpointsTable(const Repeated<v1::CheckpointStatus>& checkpoints) {
  Table table;
  table.columns = {"stage",        "step",         "tokens",          "state",
                   "outcome",      "reason",       "attempts",        "worker",
                   "progress",     "updated",      "not_before",      "path",
                   "job_id",       "load_seconds", "compute_seconds", "device",
                   "same_weights", "measurements", "counts",          "note"};
  for (const v1::CheckpointStatus& c : checkpoints) {
    table.rows.push_back(
        {c.checkpoint().stage(),
         int64_t{c.checkpoint().step()},
         Unless(0, c.checkpoint().tokens()),
         StateName(c.state()),
         OutcomeName(c.outcome()),
         c.reason(),
         int64_t{c.attempts()},
         c.worker(),
         c.progress(),
         TimeCell(c.has_updated(), c.updated()),
         TimeCell(c.has_not_before(), c.not_before()),
         c.checkpoint().path(),
         int64_t{c.job_id()},
         c.has_load_seconds() ? Cell(c.load_seconds()) : Cell(),
         c.has_compute_seconds() ? Cell(c.compute_seconds()) : Cell(),
         c.device(),
         SameWeightsOf(c),
         Unless(0, c.measurements()),
         c.measurements() > 0 ? Cell(c.counts()) : Cell(),
         NoteOf(c)});
  }
  return table;
}

Table MetricsTable(const Repeated<v1::MetricDescriptor>& metrics) {
  Table table;
  table.columns = {"name",    "unit",   "scope",     "meaning",
                   "formula", "source", "threshold", "below"};
  for (const v1::MetricDescriptor& m : metrics) {
    table.rows.push_back({m.name(), m.unit(), ScopeName(m.scope()), m.meaning(),
                          m.formula(), m.source(),
                          m.has_threshold() ? Cell(m.threshold()) : Cell(),
                          m.has_threshold() ? Cell(m.below()) : Cell()});
  }
  return table;
}

absl::StatusOr<Table> SeriesTable(const v1::QuerySeriesResponse& series,
                                  const SeriesLayout& layout,
                                  std::string* note) {
  RETURN_IF_ERROR(CheckShape(series));
  const bool of_tokens = layout.x == "tokens";
  const bool errors =
      layout.standard_errors && !series.standard_errors().empty();
  const int columns = series.columns_size();
  Table table{{"x"}, {}};
  for (const v1::SeriesKey& key : series.columns()) {
    table.columns.push_back(key.label());
  }
  for (int c = 0; errors && c < columns; ++c) {
    table.columns.push_back(series.columns(c).label() + kErrorColumn);
  }
  int unknown = 0, tied = 0;
  for (int row = 0; row < series.steps_size(); ++row) {
    const int64_t step = series.steps(row), tokens = series.tokens(row);
    if (of_tokens && tokens == 0 && step != 0) {
      ++unknown;
      continue;
    }
    Cell at = XOf(layout.x, step, tokens);
    if (!table.rows.empty() && of_tokens && table.rows.back()[0] == at) {
      ++tied;
      continue;
    }
    if (!table.rows.empty() && !(table.rows.back()[0] < at)) {
      return BadParameter("x_not_ascending",
                          absl::StrCat(layout.x, " does not rise at step ",
                                       step, ": ask for x=step"));
    }
    std::vector<Cell>& cells = table.rows.emplace_back();
    cells.reserve(table.columns.size());
    cells.push_back(std::move(at));
    AppendValues(series.values(), columns, row, &cells);
    if (errors) AppendValues(series.standard_errors(), columns, row, &cells);
  }
  *note = of_tokens ? TokensNote(unknown, tied) : "";
  return table;
}

Table MatrixTable(const v1::QueryMatrixResponse& matrix, bool standard_errors) {
  const v1::Scope scope = matrix.metric().scope();
  const bool per_head = scope == v1::SCOPE_HEAD || scope == v1::SCOPE_KV_HEAD;
  int heads = 0;
  for (const auto& row : matrix.rows()) {
    heads = std::max(heads, row.values_size());
  }
  Table table{{"layer"}, {}};
  for (const char* end : {"", kErrorColumn}) {
    for (int h = 0; h < heads && (*end == 0 || standard_errors); ++h) {
      table.columns.push_back(
          absl::StrCat(per_head ? absl::StrCat("H", h) : "value", end));
    }
  }
  for (const auto& row : matrix.rows()) {
    std::vector<Cell>& cells = table.rows.emplace_back();
    cells.push_back(IndexCell(row.has_layer(), row.layer()));
    for (int h = 0; h < heads; ++h) cells.push_back(ValueCell(row.values(), h));
    for (int h = 0; h < heads && standard_errors; ++h) {
      cells.push_back(ValueCell(row.standard_errors(), h));
    }
  }
  return table;
}

Table EmergenceTable(const v1::GetEmergenceResponse& emergence) {
  Table table;
  table.columns = {"series",        "layer",           "head",
                   "censoring",     "after_step",      "by_step",
                   "estimate",      "provisional",     "holds_from_step",
                   "reversal_step", "half_after_step", "half_by_step",
                   "half_step",     "width",           "width_low",
                   "width_high",    "shape",           "run",
                   "after_tokens",  "by_tokens",       "checkpoints"};
  for (const v1::Emergence& e : emergence.emergences()) {
    const bool between = e.censoring() == v1::CENSORING_NONE;
    const bool left = e.censoring() == v1::CENSORING_LEFT;
    const bool right = e.censoring() == v1::CENSORING_RIGHT;
    // A censored end of the interval is no value.
    table.rows.push_back(
        {e.key().label(), IndexCell(e.key().has_layer(), e.key().layer()),
         IndexCell(e.key().has_head(), e.key().head()),
         CensoringName(e.censoring()),
         between || right ? Cell(int64_t{e.after_step()}) : Cell(),
         between || left ? Cell(int64_t{e.by_step()}) : Cell(),
         between ? Cell(e.estimate()) : Cell(), e.provisional(),
         e.has_holds_from_step() ? Cell(int64_t{e.holds_from_step()}) : Cell(),
         e.has_reversal_step() ? Cell(int64_t{e.reversal_step()}) : Cell()});
    AppendRise(e, &table.rows.back());
    table.rows.back().push_back(e.key().run().empty() ? Cell()
                                                      : Cell(e.key().run()));
    AppendTokens(e, &table.rows.back());
    table.rows.back().push_back(int64_t{e.checkpoints()});
  }
  return table;
}

}  // namespace sinkwatch::answers

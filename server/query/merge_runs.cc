#include "server/query/merge_runs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"

namespace sinkwatch::query {
namespace {

// Which tokens a step stands for: those of the first run that knows.
std::map<int64_t, int64_t> TokensByStep(const std::vector<RunColumns>& runs) {
  std::map<int64_t, int64_t> tokens;
  for (const RunColumns& run : runs) {
    for (size_t i = 0; i < run.series.steps.size(); ++i) {
      int64_t& known = tokens[run.series.steps[i]];
      if (known == 0) known = run.series.tokens[i];
    }
  }
  return tokens;
}

// Copies the rows of `from` to those of the same step, at `first_column`.
void Place(const store::Series& series, const analytics::Matrix& from,
           const std::vector<int64_t>& steps, size_t first_column,
           analytics::Matrix& into) {
  for (size_t row = 0; row < from.rows(); ++row) {
    const size_t at =
        std::lower_bound(steps.begin(), steps.end(), series.steps[row]) -
        steps.begin();
    std::copy_n(from.values.begin() + row * from.columns, from.columns,
                into.values.begin() + at * into.columns + first_column);
  }
}

analytics::Matrix Empty(size_t rows, size_t columns) {
  return {columns, std::vector<float>(rows * columns,
                                      std::numeric_limits<float>::quiet_NaN())};
}

}  // namespace

absl::StatusOr<RunColumns> MergeRuns(
    std::vector<RunColumns> runs, int64_t max_cells,
    std::shared_ptr<store::CellBudget::Hold> hold) {
  if (runs.size() == 1) return std::move(runs[0]);
  RunColumns all;
  all.run = runs[0].run;
  all.series.metric = runs[0].series.metric;
  size_t columns = 0;
  bool errors = true;
  for (RunColumns& run : runs) {
    for (v1::SeriesKey& key : run.selected.keys) {
      key.set_run(run.run);
      key.set_label(absl::StrCat(run.run, " ", key.label()));
      all.selected.keys.push_back(key);
    }
    columns += run.selected.keys.size();
    errors = errors && !run.selected.standard_errors.values.empty();
  }
  for (const auto& [step, tokens] : TokensByStep(runs)) {
    all.series.steps.push_back(step);
    all.series.tokens.push_back(tokens);
  }
  const size_t rows = all.series.steps.size();
  const int64_t cells = static_cast<int64_t>(rows * columns);
  if (cells > max_cells) {
    return absl::OutOfRangeError(
        absl::StrCat("the runs together have more than ", max_cells,
                     " values (", columns, " columns in ", rows, " steps)"));
  }
  RETURN_IF_ERROR(hold->Grow(cells));
  all.series.hold = std::move(hold);
  all.selected.values = Empty(rows, columns);
  if (errors) all.selected.standard_errors = Empty(rows, columns);
  size_t first = 0;
  for (const RunColumns& run : runs) {
    Place(run.series, run.selected.values, all.series.steps, first,
          all.selected.values);
    if (errors) {
      Place(run.series, run.selected.standard_errors, all.series.steps, first,
            all.selected.standard_errors);
    }
    first += run.selected.keys.size();
  }
  return all;
}

}  // namespace sinkwatch::query
